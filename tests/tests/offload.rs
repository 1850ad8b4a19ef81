//! `--offload-threads`: slow readers of files hold no core, connections go on afterwards, and nobody is left behind.

use rsgi_tests::http::read_response;
use rsgi_tests::{Server, Setup, wait_for};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const APP: &str = "
import os
def application(env, start):
    if env['PATH_INFO'] == '/wrapped':
        start('200 OK', [('Content-Length', str(os.path.getsize('big')))])
        return env['wsgi.file_wrapper'](open('big', 'rb'))
    start('200 OK', [('Content-Length', '2')])
    return [b'ok']
";
const SIZE: usize = 24 << 20;

fn serve(args: &[&str]) -> Server {
    let setup = Setup::new().wsgi(APP);
    let file = std::fs::File::create(setup.dir().join("big")).expect("a file");
    file.set_len(SIZE as u64).expect("room");
    let setup = setup.args(["--chdir", "@DIR@", "--static-map", "/big=@DIR@/big", "--processes", "1"]);
    setup.args(args.iter().copied()).start()
}

fn ask(server: &Server, path: &str, headers: &str) -> TcpStream {
    let mut stream = server.connect(server.port());
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("a server");
    stream
}

/// The application answers, and soon.
fn is_free(server: &Server) {
    let began = Instant::now();
    assert_eq!(server.get("/").text(), "ok");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn slow_readers_hold_no_core_and_go_on() {
    let mut server = serve(&["--offload-threads", "2"]);
    for path in ["/big", "/wrapped"] {
        let slow: Vec<_> = (0..5).map(|_| ask(&server, path, "")).collect();
        is_free(&server);
        for stream in slow {
            let mut reader = BufReader::new(stream);
            let answer = read_response(&mut reader, false).unwrap().unwrap();
            assert_eq!(answer.body.len(), SIZE);
            // kept, and served by the core again
            reader
                .get_mut()
                .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                .unwrap();
            assert_eq!(read_response(&mut reader, false).unwrap().unwrap().text(), "ok");
        }
    }
    server.wait_log("via offload()", 10);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let server = serve(&["--offload-threads", "1"]);
    let mut stream = server.connect(server.port());
    let one = b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n";
    let two = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    stream.write_all(&[&one[..], two].concat()).unwrap();
    let mut reader = BufReader::new(stream);
    assert_eq!(read_response(&mut reader, false).unwrap().unwrap().body.len(), SIZE);
    assert_eq!(read_response(&mut reader, false).unwrap().unwrap().text(), "ok");
    // the second comes while the file is being sent
    reader.get_mut().write_all(one).unwrap();
    wait_for("the head", || {
        reader.get_ref().peek(&mut [0; 64]).is_ok_and(|n| n > 0).then_some(())
    });
    reader.get_mut().write_all(two).unwrap();
    assert_eq!(read_response(&mut reader, false).unwrap().unwrap().body.len(), SIZE);
    assert_eq!(read_response(&mut reader, false).unwrap().unwrap().text(), "ok");
}

#[test]
fn clients_that_leave_or_sleep_are_let_go() {
    let server = serve(&["--offload-threads", "1", "--socket-timeout", "1"]);
    let worker = server.workers()[0].1;
    let count = || {
        std::fs::read_dir(format!("/proc/{worker}/fd"))
            .expect("a worker")
            .count()
    };
    is_free(&server);
    let before = count();
    let sleeping: Vec<_> = (0..3).map(|_| ask(&server, "/big", "Connection: close\r\n")).collect();
    drop(ask(&server, "/big", ""));
    is_free(&server);
    // files and connections
    wait_for("all to be closed", || (count() <= before).then_some(()));
    drop(sleeping);
}

#[test]
fn a_stop_waits_for_what_is_being_sent() {
    let mut server = serve(&["--offload-threads", "1", "--master"]);
    let mut slow = ask(&server, "/big", "");
    let mut head = [0; 16];
    slow.read_exact(&mut head).unwrap();
    server.signal(libc::SIGTERM);
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    let text = String::from_utf8_lossy(&rest[..400]).into_owned();
    let body = text.find("\r\n\r\n").expect("a head") + 4;
    assert_eq!(rest.len() - body, SIZE);
    assert!(server.wait_exit().success());
}
