//! Metrics that are computed, their limits, the histograms of requests, and statistics that go out by themselves, each to a
//! receiver that speaks the protocol.

use rsgi_tests::python::{EVAL_APP, eval};
use rsgi_tests::{Server, Setup, http, wait_for};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(EVAL_APP).args(args.iter().copied()).start()
}

fn metric(server: &Server, name: &str) -> i64 {
    eval(server, &format!("uwsgi.metric_get('{name}')")).parse().unwrap()
}

fn becomes(server: &Server, name: &str, value: i64) {
    wait_for(&format!("{name} = {value}"), || {
        (metric(server, name) == value).then_some(())
    });
}

#[test]
fn metrics_are_computed_from_others_and_from_files() {
    let setup = Setup::new().file("load", "0.5 17 x\n").wsgi(EVAL_APP);
    let server = setup
        .args([
            "--metric",
            "name=a,type=gauge,initial_value=4",
            "--metric",
            "name=b,type=gauge,initial_value=6",
        ])
        .args([
            "--metric",
            "name=sum,collector=sum,children=a;b",
            "--metric",
            "name=avg,collector=avg,children=a;b",
        ])
        .args(["--metric", "name=add,collector=adder,arg1n=5,children=a;b"])
        .args(["--metric", "name=mul,collector=multiplier,arg1n=3,children=a;b"])
        .args(["--metric", "name=file,collector=file,arg1=@DIR@/load,arg1n=1"])
        .args(["--metric", "name=acc,collector=accumulator,children=a"])
        .args([
            "--metric",
            "name=same,alias=a",
            "--metric",
            "name=all,collector=sum,children=worker.1.requests",
        ])
        .start();
    for (name, value) in [
        ("sum", 10),
        ("avg", 5),
        ("add", 15),
        ("mul", 30),
        ("file", 17),
        ("same", 4),
    ] {
        becomes(&server, name, value);
    }
    let before = metric(&server, "acc");
    wait_for("another round", || (metric(&server, "acc") > before).then_some(()));
    assert_eq!(metric(&server, "acc") % 4, 0);
    assert!(metric(&server, "all") > 0);
    std::fs::write(server.dir().join("load"), "0 21\n").unwrap();
    eval(&server, "uwsgi.metric_set('a', 5)");
    becomes(&server, "file", 21);
    becomes(&server, "sum", 11);
}

#[test]
fn what_cannot_work_is_said_at_the_start() {
    for (args, said) in [
        (["--metric", "name=s,collector=sum,children=nope"], "no metric \"nope\""),
        (
            ["--metric", "name=f,collector=func,arg1=no_such_function"],
            "no function \"no_such_function\"",
        ),
        (["--metric-alarm", "key=nope,value=1"], "no metric \"nope\""),
        (
            ["--metric-alarm", "key=worker.0.requests,value=1,alarm=nope"],
            "no alarm \"nope\"",
        ),
        (["--stats-push", "statsdd:127.0.0.1:1"], "none of statsd"),
        (
            ["--stats-push", "carbon:no.such.host.invalid:1"],
            "no.such.host.invalid",
        ),
    ] {
        let ended = Setup::new().wsgi(EVAL_APP).args(args).run();
        assert_eq!(ended.code, 1, "{args:?}\n{}", ended.output);
        assert!(ended.output.contains(said), "{args:?}\n{}", ended.output);
    }
}

#[test]
fn a_limit_raises_its_alarm_no_more_often_than_wanted() {
    let mut server = serve(&[
        "--metric",
        "sold",
        "--alarm",
        "many cmd:cat >> @DIR@/raised",
        "--metric-alarm",
        "key=sold,value=10,alarm=many,rate=3600,reset=3,msg=too many sold",
        "--metric-threshold",
        "key=sold,value=2",
    ]);
    assert!(!server.log().contains("has reached"));
    eval(&server, "uwsgi.metric_set('sold', 10)");
    let raised = server.dir().join("raised");
    wait_for("the alarm", || {
        let text = std::fs::read_to_string(&raised).unwrap_or_default();
        text.contains("too many sold").then_some(())
    });
    becomes(&server, "sold", 3);
    server.wait_log("metric sold has reached 3 (limit 2)", 1);
    eval(&server, "uwsgi.metric_set('sold', 11)");
    becomes(&server, "sold", 3);
    assert_eq!(std::fs::read_to_string(&raised).unwrap().matches("too many").count(), 1);
}

#[test]
fn durations_and_saturation_are_told_to_prometheus() {
    const APP: &str = "
import time
def application(env, start_response):
    if env['PATH_INFO'] == '/slow':
        time.sleep(0.3)
    start_response('500 X' if env['PATH_INFO'] == '/500' else '200 OK', [])
    return [b'x']
";
    let mut server = Setup::new()
        .wsgi(APP)
        .args(["--health", "127.0.0.1:0", "-p", "2"])
        .start();
    for path in ["/", "/", "/", "/", "/", "/slow", "/500"] {
        server.get(path);
    }
    server.wait_log(" => generated ", 7);
    let log = server.log();
    let address = log
        .split("health endpoint on ")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    let page = http::get(port, "/metrics").text();
    let value = |name: &str| -> f64 {
        let line = page.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
    };
    let count = |class: &str| value(&format!("uwsgi_request_duration_seconds_count{{status=\"{class}\"}}"));
    assert_eq!((count("2xx"), count("5xx"), count("4xx")), (6.0, 1.0, 0.0), "{page}");
    let bucket = |le: &str| {
        value(&format!(
            "uwsgi_request_duration_seconds_bucket{{status=\"2xx\",le=\"{le}\"}}"
        ))
    };
    assert_eq!((bucket("0.25"), bucket("+Inf")), (5.0, 6.0), "{page}");
    assert!(value("uwsgi_request_duration_seconds_sum{status=\"2xx\"}") > 0.3);
    assert_eq!(value("uwsgi_request_slots"), 2.0);
    for name in [
        "uwsgi_request_slots_busy_ratio",
        "uwsgi_listen_queue_fill_ratio",
        "uwsgi_log_lines_lost_total",
    ] {
        assert_eq!(value(name), 0.0, "{name}");
    }
}

#[test]
fn statsd_and_dogstatsd_get_what_was_added() {
    let [plain, tagged] = [(); 2].map(|()| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(rsgi_tests::PATIENCE)).unwrap();
        socket
    });
    let server = serve(&[
        "--stats-push",
        &format!("statsd:{},shop", plain.local_addr().unwrap()),
        "--stats-push",
        &format!("dogstatsd:{}", tagged.local_addr().unwrap()),
        "--stats-pusher-default-freq",
        "1",
        "--metric",
        "sold",
    ]);
    eval(&server, "uwsgi.metric_set('sold', 41)");
    let sum = |socket: &UdpSocket, name: &str| {
        let mut sum = 0;
        let end = std::time::Instant::now() + rsgi_tests::PATIENCE;
        while sum < 41 {
            assert!(std::time::Instant::now() < end, "{name}: {sum}");
            let mut packet = [0u8; 65536];
            let n = socket.recv(&mut packet).expect("a datagram");
            assert!(n <= 1400);
            let text = String::from_utf8_lossy(&packet[..n]).into_owned();
            let lines = text.lines().filter_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
            for value in lines {
                sum += value.strip_suffix("|c").expect("a counter").parse::<i64>().unwrap();
            }
        }
        sum
    };
    assert_eq!(sum(&plain, "shop.sold"), 41);
    assert_eq!(sum(&tagged, "rsgi.sold"), 41);
    let mut packet = [0u8; 65536];
    wait_for("a gauge with tags", || {
        let n = tagged.recv(&mut packet).ok()?;
        let text = String::from_utf8_lossy(&packet[..n]).into_owned();
        text.lines()
            .any(|l| l.starts_with("rsgi.worker.avg_response_time:") && l.ends_with("|g|#worker:1"))
            .then_some(())
    });
}

#[test]
fn carbon_gets_lots_and_may_go_and_come() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = serve(&[
        "--carbon",
        &address.to_string(),
        "--carbon-freq",
        "1",
        "--carbon-root",
        "prod",
        "--carbon-id",
        "web.1",
        "--carbon-no-workers",
        "--metric",
        "name=sold,initial_value=5",
    ]);
    let lot = |listener: &TcpListener| {
        let (mut stream, _) = listener.accept().unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let text = lot(&listener);
    for line in text.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        assert!(
            parts.len() == 3 && parts[0].starts_with("prod.uwsgi.") && parts[0].contains(".web_1."),
            "{line}"
        );
        assert!(
            parts[1].parse::<i64>().is_ok() && parts[2].parse::<u64>().unwrap() > 1_600_000_000,
            "{line}"
        );
    }
    assert!(
        text.contains(".web_1.sold 5 ") && !text.contains(".worker.1."),
        "{text}"
    );
    drop(listener);
    server.wait_log("stats-push carbon:", 1);
    assert_eq!(server.get("/?1").status, 200);
    let again = wait_for("the port again", || TcpListener::bind(address).ok());
    assert!(lot(&again).contains(".web_1.sold 5 "));
    server.wait_log("works again", 1);
}

#[test]
fn files_and_sockets_get_the_document() {
    let setup = Setup::new();
    let path = setup.dir().join("s").display().to_string();
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(rsgi_tests::PATIENCE)).unwrap();
    let server = setup
        .wsgi(EVAL_APP)
        .args([
            "--stats-push",
            "file:path=@DIR@/f,separator=--\\n",
            "--stats-push",
            &format!("socket:{path},HEAD"),
        ])
        .args(["--stats-pusher-default-freq", "1", "--stats-min"])
        .start();
    let file = server.dir().join("f");
    let text = wait_for("two documents", || {
        let text = std::fs::read_to_string(&file).ok()?;
        (text.matches("--\n").count() >= 2).then_some(text)
    });
    let first = text.split("--\n").next().unwrap();
    assert!(
        first.starts_with("{\"version\":") && first.trim_end().ends_with('}'),
        "{first}"
    );
    let mut packet = vec![0u8; 1 << 20];
    let n = socket.recv(&mut packet).unwrap();
    assert!(packet[..n].starts_with(b"HEAD{\"version\":"));
}

#[test]
fn collectors_of_opentelemetry_get_documents() {
    use std::io::Write;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("otlp:http://{},shop", listener.local_addr().unwrap());
    let mut server = serve(&[
        "--stats-push",
        &url,
        "--stats-pusher-default-freq",
        "1",
        "--metric",
        "sold",
    ]);
    let lot = |answer: &str| {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(rsgi_tests::PATIENCE)).unwrap();
        let (mut text, mut part) = (String::new(), [0u8; 65536]);
        let is_whole = |text: &str| {
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: "))?;
            (body.len() == length.parse::<usize>().ok()?).then_some(())
        };
        while is_whole(&text).is_none() {
            let n = stream.read(&mut part).unwrap();
            text.push_str(std::str::from_utf8(&part[..n]).unwrap());
        }
        write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").unwrap();
        text
    };
    let text = lot("503 Not Now");
    assert!(
        text.starts_with("POST /v1/metrics HTTP/1.1\r\n") && text.contains("\"stringValue\":\"shop\""),
        "{text}"
    );
    server.wait_log("the collector says \"HTTP/1.1 503 Not Now\"", 1);
    eval(&server, "uwsgi.metric_set('sold', 41)");
    wait_for("the number", || {
        let text = lot("200 OK");
        let (_, rest) = text.split_once("\"name\":\"sold\"")?;
        (rest.contains("\"asInt\":\"41\"") && rest.contains("\"isMonotonic\":true")).then_some(())
    });
    server.wait_log("works again", 1);
}
