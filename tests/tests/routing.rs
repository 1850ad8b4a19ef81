//! Internal routing: what rules look at, what they do, and that a client cannot turn them against their operator.

use rsgi_tests::{Server, Setup, build_plugin, wait_for};
use std::io::{Read, Write};

const APP: &str = r#"
def application(env, start):
    path = env["PATH_INFO"]
    if path == "/raise":
        raise ValueError("as asked")
    status = path[8:] + " Status" if path.startswith("/status/") else "200 OK"
    start(status, [("Content-Type", "text/plain"), ("X-App", "here")])
    keys = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "REMOTE_ADDR", "REMOTE_USER", "NAME", "STAMP")
    return [";".join(k + "=" + env[k] for k in keys if env.get(k)).encode("latin-1")]
"#;

fn serve(rules: &[&str], more: impl FnOnce(Setup) -> Setup) -> Server {
    let ini = format!("[uwsgi]\n{}\n", rules.join("\n"));
    let setup = Setup::new()
        .wsgi(APP)
        .file("r.ini", &ini)
        .args(["--ini", "@DIR@/r.ini"]);
    more(setup).start()
}

fn raw(server: &Server, request: &str) -> String {
    let mut stream = server.connect(server.port());
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(server: &Server, path: &str, headers: &str) -> String {
    raw(server, &format!("GET {path} HTTP/1.0\r\nHost: h\r\n{headers}\r\n"))
}

fn head_of(answer: &str) -> &str {
    answer.split("\r\n\r\n").next().unwrap_or_default()
}

#[test]
fn caches_answer_and_are_filled() {
    let server = serve(
        &[
            "cache2 = name=pages,items=10,blocksize=4096",
            "cache2 = name=numbers,items=10",
            "route-if = incache:key=/in,name=pages addheader:X-In: yes",
            "route = ^/set cacheset:key=greeting,value=hello ${QUERY_STRING},name=pages,expires=60",
            "route = ^/greeting cache:key=greeting,name=pages,content_type=text/x-hello,content_encoding=identity",
            "route = ^/n cacheinc:key=n,value=3,name=numbers",
            "route = ^/n cachemul:key=n,value=2,name=numbers",
            "route = ^/(c|status|in|big)/? cache:key=${QUERY_STRING}${PATH_INFO},name=pages,mime=1",
            "route = ^/(c|status|in|big)/? cachestore:key=${QUERY_STRING}${PATH_INFO},name=pages",
        ],
        |s| s.args(["--enable-metrics"]),
    );
    let first = get(&server, "/c/x.css?1", "");
    assert!(
        first.contains("X-App: here") && first.contains("QUERY_STRING=1"),
        "{first}"
    );
    // a cached answer has the body, and headers of the rule's making
    let second = get(&server, "/c/x.css?1", "X-H: other\r\n");
    assert!(
        second.contains("Content-Type: text/css\r\n") && !second.contains("X-App"),
        "{second}"
    );
    assert!(second.ends_with(first.split("\r\n\r\n").nth(1).unwrap()), "{second}");
    assert!(get(&server, "/c/x.css?2", "").contains("QUERY_STRING=2"));
    // neither what failed is kept, nor what HEAD leaves out, nor what is too large
    for _ in 0..2 {
        assert!(get(&server, "/status/503", "").contains("X-App: here"));
        let long = "b".repeat(5000);
        assert!(get(&server, &format!("/big?{long}"), "").contains("X-App: here"));
        let head = raw(&server, "HEAD /c/head HTTP/1.0\r\nHost: h\r\n\r\n");
        assert!(head.contains("X-App: here"), "{head}");
    }
    assert!(!get(&server, "/in", "").contains("X-In"));
    assert!(get(&server, "/in", "").contains("X-In: yes"));
    assert!(!get(&server, "/greeting", "").contains("hello"));
    get(&server, "/set?you", "");
    let greeting = get(&server, "/greeting", "");
    assert!(
        greeting.ends_with("\r\n\r\nhello you") && greeting.contains("Expires: "),
        "{greeting}"
    );
    assert!(
        greeting.contains("Content-Type: text/x-hello\r\nContent-Encoding: identity"),
        "{greeting}"
    );
}

#[test]
fn rules_about_caches_need_one() {
    for (rule, why) in [
        ("route-run = cache:key=x", "add cache2"),
        ("route-run = cachestore:key=x,name=pages", "add cache2 = name=pages"),
        ("route-run = cacheset:value=x", "key is missing"),
        ("route-run = cache:key=x,colour=red", "there are key, name"),
    ] {
        let ini = format!(
            "[uwsgi]\n{}\n{rule}\n",
            if why.starts_with("add") {
                ""
            } else {
                "cache2 = name=a,items=10"
            }
        );
        let setup = Setup::new().wsgi(APP).file("r.ini", &ini);
        let ended = setup.args(["--ini", "@DIR@/r.ini"]).run();
        assert!(ended.code > 0 && ended.output.contains(why), "{}", ended.output);
    }
}

#[test]
fn patterns_groups_and_variables() {
    let server = serve(
        &[
            "route = ^/u/([a-z]+)/(?!9)(\\d+)$ addvar:NAME=$1-$2-${QUERY_STRING}-${HTTP_X_H}-${cookie[c]}-${qs[k]}",
            "route-uri = ^/raw%%20 return:404",
            "route-qs = ^stop return:403 Stopped",
            "route-user-agent = ^bad return:403",
            "route-if = startswith:${PATH_INFO};/if return:418",
            "route-if-not = regexp:${REQUEST_METHOD};^(GET|HEAD)$ return:405",
            "route-if = ipv4in:${REMOTE_ADDR};10.0.0.0/8 return:403",
            "route-if = ishigher:${qs[n]};5 return:413",
        ],
        |s| s,
    );
    let answer = get(&server, "/u/bob/42?k=v&j=w", "X-H: head\r\nCookie: a=b; c=cook\r\n");
    assert!(answer.contains("NAME=bob-42-k=v&j=w-head-cook-v"), "{answer}");
    assert!(!get(&server, "/u/bob/92", "").contains("NAME"), "look-ahead");
    for (path, headers, status) in [
        ("/raw%20x", "", "404 Not Found"),
        ("/?stop", "", "403 Stopped"),
        ("/", "User-Agent: bad\r\n", "403 Forbidden"),
        ("/iffy", "", "418 I'm a teapot"),
        ("/?n=6", "", "413 "),
        ("/?n=5", "", "200 OK"),
        ("/", "", "200 OK"),
    ] {
        let answer = get(&server, path, headers);
        assert!(answer.starts_with(&format!("HTTP/1.0 {status}")), "{path}: {answer}");
    }
    let answer = raw(&server, "DELETE / HTTP/1.0\r\nHost: h\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 405 "), "{answer}");
}

#[test]
fn the_request_is_rewritten_and_its_address_stays() {
    let server = serve(
        &[
            "route = ^/r/(\\d+)$ rewrite:/it%%20em?id=$1",
            "route = ^/last rewrite-last:/end",
            "route = ^/end return:500",
            "route = ^/pre/ setscriptname:/pre",
            "route = ^/pre/ fixpathinfo:",
            "route-if-not = empty:${HTTP_X_FORWARDED_FOR} setremoteaddr:${HTTP_X_FORWARDED_FOR}",
        ],
        |s| s,
    );
    let answer = get(&server, "/r/12", "");
    assert!(
        answer.contains("PATH_INFO=/it em;QUERY_STRING=id=12;REQUEST_URI=/r/12"),
        "{answer}"
    );
    assert!(get(&server, "/last", "").contains("PATH_INFO=/end"));
    assert!(get(&server, "/pre/a", "").contains("SCRIPT_NAME=/pre;PATH_INFO=/a"));
    assert!(get(&server, "/", "X-Forwarded-For: 192.0.2.1\r\n").contains("REMOTE_ADDR=192.0.2.1"));
}

#[test]
fn jumps_lead_forward_only() {
    let server = serve(
        &[
            "route-label = start",
            "route = ^/loop addheader:X-Round: 1",
            "route = ^/loop goto:start",
            "route = ^/(a|b)$ goto:$1",
            "route-run = last:",
            "route-label = a",
            "route-run = return:201",
            "route-label = b",
            "route-run = return:202",
        ],
        |s| s,
    );
    let answer = get(&server, "/loop", "");
    assert_eq!(answer.matches("X-Round").count(), 1, "{answer}");
    assert!(get(&server, "/a", "").starts_with("HTTP/1.0 201 "));
    assert!(get(&server, "/b", "").starts_with("HTTP/1.0 202 "));
    assert!(get(&server, "/c", "").starts_with("HTTP/1.0 200 "));
    assert!(server.log().contains("no label \"start\" behind it"));
}

#[test]
fn answers_are_changed_replaced_and_cut() {
    let server = serve(
        &[
            "route = ^/cut break:",
            "route = ^/old redirect-permanent:/new?${QUERY_STRING}",
            "route = ^/drop remheader:x-app",
            "route = ^/add addheader:X-New: ${REQUEST_METHOD}",
            "route = ^/split/ addheader:X-V: ${PATH_INFO}",
            "route = ^/jump/ redirect:${PATH_INFO}",
            "route = ^/own clearheaders:299 Odd",
            "route = ^/own addheader:Content-Length: 5",
            "route = ^/own send:hello",
            "route = ^/own break:",
            "response-route-status = 404 addheader:X-Lost: yes",
            "error-route-status = 503 redirect:/sorry",
            "error-route-status = 200 addheader:X-Wrong: yes",
            "response-route = ^/late remheader:X-App",
        ],
        |s| s,
    );
    assert_eq!(get(&server, "/cut", ""), "");
    let moved = get(&server, "/old?a=1", "");
    assert!(
        moved.starts_with("HTTP/1.0 301 ") && moved.contains("Location: /new?a=1\r\n"),
        "{moved}"
    );
    for path in ["/drop", "/late"] {
        let answer = get(&server, path, "");
        assert!(!answer.contains("X-App") && answer.contains("Content-Type"), "{answer}");
    }
    assert!(get(&server, "/add", "").contains("X-New: GET\r\n"));
    for path in ["/split/a%0d%0aEvil:%201", "/jump/a%0d%0aEvil:%201"] {
        let answer = get(&server, path, "");
        assert!(!head_of(&answer).contains("\nEvil"), "{answer}");
    }
    let own = get(&server, "/own", "");
    assert!(
        own.starts_with("HTTP/1.0 299 Odd\r\n") && own.ends_with("\r\n\r\nhello"),
        "{own}"
    );
    assert!(get(&server, "/status/404", "").contains("X-Lost: yes"));
    let sorry = get(&server, "/status/503", "");
    assert!(
        sorry.starts_with("HTTP/1.0 302 ") && sorry.contains("Location: /sorry"),
        "{sorry}"
    );
    assert!(!sorry.contains("PATH_INFO="), "the application's body: {sorry}");
    let fine = get(&server, "/", "");
    assert!(!fine.contains("X-Lost") && !fine.contains("X-Wrong"), "{fine}");
}

#[test]
fn a_kept_connection_goes_on_after_a_rule_answered() {
    let server = serve(
        &["route = ^/no return:403", "error-route-status = 503 redirect:/sorry"],
        |s| s,
    );
    let answers = raw(
        &server,
        "GET /no HTTP/1.1\r\nHost: h\r\n\r\nGET /status/503 HTTP/1.1\r\nHost: h\r\n\r\n\
         GET /yes HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    );
    let statuses: Vec<&str> = answers.matches("HTTP/1.1 ").collect();
    assert_eq!(statuses.len(), 3, "{answers}");
    assert!(answers.contains("HTTP/1.1 403") && answers.contains("HTTP/1.1 302") && answers.contains("PATH_INFO=/yes"));
}

#[test]
fn files_stay_beneath_what_the_operator_wrote() {
    let server = serve(
        &[
            "route = ^/st/(.*) static:@DIR@/pub/$1",
            "route = ^/file$ file:filename=@DIR@/pub/f.txt,status=203 Mine,content_type=text/x",
            "route = ^/alone$ sendfile:@DIR@/pub/f.txt",
        ],
        |s| s.file("pub/f.txt", "from a rule").file("secret", "not for you"),
    );
    let answer = get(&server, "/st/f.txt", "");
    assert!(
        answer.contains("Content-Type: text/plain") && answer.ends_with("from a rule"),
        "{answer}"
    );
    for path in [
        "/st/none",
        "/st/../secret",
        "/st/%2e%2e/secret",
        "/st/x/%2e%2e/%2e%2e/secret",
    ] {
        let answer = get(&server, path, "");
        assert!(!answer.contains("not for you"), "{path}: {answer}");
    }
    let answer = get(&server, "/file", "");
    assert!(
        answer.starts_with("HTTP/1.0 203 Mine") && answer.contains("Content-Type: text/x"),
        "{answer}"
    );
    assert!(get(&server, "/alone", "").ends_with("from a rule"));
}

#[test]
fn passwords_are_asked_for() {
    let server = serve(&["route = ^/in basicauth:My \"Realm\",bob:se:cret"], |s| s);
    let asked = get(&server, "/in", "");
    assert!(
        asked.contains("401 ") && asked.contains("WWW-Authenticate: Basic realm=\"My Realm\"\r\n"),
        "{asked}"
    );
    // bob:se:cret
    assert!(get(&server, "/in", "Authorization: Basic Ym9iOnNlOmNyZXQ=\r\n").contains("REMOTE_USER=bob"));
    // bob:se
    assert!(get(&server, "/in", "Authorization: Basic Ym9iOnNl\r\n").contains("401 "));
    assert!(get(&server, "/out", "").contains("200 OK"));
}

#[test]
fn the_log_tells_what_rules_noted() {
    let mut server = serve(
        &[
            "route = ^/say/((?s).*) log:said <$1>",
            "route = ^/v logvar:item=<${REQUEST_METHOD}>",
            "route = ^/quiet donotlog:",
            "final-route-status = 200 log:over ${uwsgi[status]} of worker ${uwsgi[wid]}",
            "log-format = REQ %(uri) %(item)",
        ],
        |s| s,
    );
    get(&server, "/say/a%0aforged", "");
    server.wait_log("said <a\\x0aforged>", 1);
    get(&server, "/v", "");
    server.wait_log("REQ /v <GET>", 1);
    server.wait_log("over 200 of worker 1", 2);
    get(&server, "/quiet", "");
    get(&server, "/last", "");
    server.wait_log("REQ /last", 1);
    assert!(!server.log().contains("REQ /quiet"));
}

#[test]
fn plugins_bring_actions_conditions_and_variables() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let plugin = build_plugin(dir.path(), "routing.c", include_str!("../c/routing.c"));
    let server = serve(
        &[
            &format!("plugin = {}", plugin.display()),
            "route = ^/s/(\\w+) stamp:$1 of ${REQUEST_METHOD}",
            "route = ^/stop stamp:!stopped",
            "route-run = addvar:NAME=${twice[ab]}",
            "route-if = longer:20 answer:too long",
        ],
        |s| s,
    );
    let answer = get(&server, "/s/one", "");
    assert!(answer.contains("NAME=abab;STAMP=one of GET"), "{answer}");
    let answer = get(&server, "/stop", "");
    assert!(answer.contains("STAMP=stopped") && !answer.contains("NAME"), "{answer}");
    assert!(get(&server, "/0123456789012345678901234", "").ends_with("too long"));
}

#[test]
fn wrong_rules_end_the_start_with_their_place() {
    for (rule, why) in [
        (
            "route = ^/x redirekt:/y",
            "there is no action \"redirekt\"; the nearest is \"redirect\"",
        ),
        ("route = ( break:403", "is no regular expression"),
        ("route = ^/x", "give PATTERN ACTION:ARGUMENTS"),
        ("route-if = nosuch:x break:403", "there is no condition \"nosuch\""),
        ("route-run = addvar:NAME=${nosuch[x]}", "there is no \"nosuch\""),
        ("route-run = signal:300", "no signal"),
        ("route-run = file:name=x", "unknown key \"name\""),
    ] {
        let ini = format!("[uwsgi]\nmaster = true\n{rule}\n");
        let ended = Setup::new()
            .wsgi(APP)
            .file("r.ini", &ini)
            .args(["--ini", "@DIR@/r.ini"])
            .run();
        assert_eq!(ended.code, 1, "{rule}: {}", ended.output);
        assert!(ended.output.contains(why), "{rule}: {}", ended.output);
        assert!(ended.output.contains("r.ini:3"), "{rule}: {}", ended.output);
    }
}

#[test]
fn a_rule_raises_a_signal() {
    let app = format!("import uwsgi\nuwsgi.register_signal(17, '', lambda n: open('@DIR@/got', 'w').close())\n{APP}");
    let server = Setup::new()
        .wsgi(&app)
        .file("r.ini", "[uwsgi]\nroute = ^/sig signal:17\n")
        .args(["--ini", "@DIR@/r.ini", "--master"])
        .start();
    get(&server, "/sig", "");
    wait_for("the handler", || server.dir().join("got").exists().then_some(()));
}

#[test]
fn pages_of_the_operator_say_what_the_server_would() {
    let server = serve(
        &[
            "error-page-404 = @DIR@/gone.html",
            "error-page-404 = @DIR@/lost.html",
            "error-page-500 = @DIR@/broken.html",
            "route = ^/lost return:404",
            "route = ^/other return:403",
            "route = ^/words return:404 Not Here",
        ],
        |s| {
            s.file("gone.html", "<b>gone</b>")
                .file("lost.html", "<b>lost</b>")
                .file("broken.html", "<b>broken</b>")
        },
    );
    let answer = get(&server, "/lost", "");
    assert!(
        answer.starts_with("HTTP/1.0 404 Not Found\r\n") && answer.ends_with("\r\n\r\n<b>gone</b>"),
        "{answer}"
    );
    assert!(answer.contains("Content-Type: text/html\r\n"), "{answer}");
    std::fs::remove_file(server.dir().join("gone.html")).expect("it is there");
    assert!(get(&server, "/lost", "").ends_with("<b>lost</b>"));
    assert!(get(&server, "/other", "").ends_with("\r\n\r\nForbidden"));
    let broken = get(&server, "/raise", "");
    assert!(
        broken.starts_with("HTTP/1.0 500 ") && broken.ends_with("<b>broken</b>"),
        "{broken}"
    );
    // the application's own stays its own
    assert!(get(&server, "/status/404", "").contains("X-App: here"));
    let ended = Setup::new()
        .args(["--http-socket", "127.0.0.1:0", "--error-page-403", "/none.html"])
        .run();
    assert!(
        ended.code > 0 && ended.output.contains("cannot read /none.html"),
        "{}",
        ended.output
    );
}

#[test]
fn what_a_rule_has_begun_ends_as_an_answer() {
    let server = serve(
        &[
            "route = ^/sent send:one",
            "route = ^/sent send:two",
            "route = ^/sent break:",
            "route = ^/silent break:",
        ],
        |setup| setup,
    );
    let answer = raw(&server, "GET /sent HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(
        answer.ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        "{answer}"
    );
    assert_eq!(raw(&server, "GET /silent HTTP/1.1\r\nHost: h\r\n\r\n"), "");
}
