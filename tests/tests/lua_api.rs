//! The rest of Lua's table `uwsgi`: what it shares with other processes and other languages.

use rsgi_tests::python::{EVAL_APP, eval};
use rsgi_tests::{Server, Setup};

const APP: &str = r#"
uwsgi.register_rpc("join", function(...) return "lua:" .. table.concat({...}, "+") end)
uwsgi.register_rpc("number", function() return 42 end)
uwsgi.register_rpc("nothing", function() end)
uwsgi.register_rpc("fails", function() error("boom in the function") end)
uwsgi.register_rpc("through", function(name, ...) return uwsgi.call(name, ...) end)
local function unquote(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end
function show(...)
  local all, count = {...}, select('#', ...)
  for n = 1, count do all[n] = tostring(all[n]) end
  return table.concat(all, " ", 1, count)
end
return function(env)
  local code, wrong = load(unquote(env.QUERY_STRING))
  local text = wrong
  if code then
    local ok, what = pcall(function() return show(code()) end)
    text = tostring(what)
  end
  return 200, {}, coroutine.wrap(function() coroutine.yield(text) end)
end
"#;

fn setup(args: &[&str]) -> Setup {
    Setup::new()
        .file("app.lua", APP)
        .args(["--master", "--lua", "@DIR@/app.lua", "--http-socket", "127.0.0.1:0"])
        .args(["--http-socket-modifier1", "6"])
        .args(args.iter().copied())
}

/// Runs Lua in a request: what it returns, spaces between.
fn run(server: &Server, code: &str) -> String {
    let mut query = String::new();
    for byte in code.bytes() {
        query.push_str(&format!("%{byte:02x}"));
    }
    server.get(&format!("/?{query}")).text()
}

fn value(server: &Server, code: &str) -> String {
    run(server, &format!("return {code}"))
}

#[test]
fn caches_keep_texts_and_numbers() {
    let server = setup(&[
        "--cache2",
        "name=one,items=20,blocksize=2048",
        "--cache2",
        "name=two,items=5",
    ])
    .start();
    assert_eq!(
        value(
            &server,
            "uwsgi.cache_set('k', 'v1'), uwsgi.cache_set('k', 'v2'), uwsgi.cache_get('k')"
        ),
        "true nil v1"
    );
    assert_eq!(
        value(&server, "uwsgi.cache_update('k', 'v3', 0, 'one'), uwsgi.cache_get('k')"),
        "true v3"
    );
    assert_eq!(
        value(&server, "uwsgi.cache_get('k', 'two'), uwsgi.cache_exists('k', 'two')"),
        "nil nil"
    );
    assert_eq!(
        value(
            &server,
            "uwsgi.cache_exists('k'), uwsgi.cache_del('k'), uwsgi.cache_del('k')"
        ),
        "true true nil"
    );
    // longer than what is read in one go, and no text
    run(&server, "uwsgi.cache_set('long', ('\\0ab'):rep(600))");
    assert_eq!(
        value(
            &server,
            "#uwsgi.cache_get('long'), uwsgi.cache_get('long') == ('\\0ab'):rep(600)"
        ),
        "1800 true"
    );
    run(
        &server,
        "uwsgi.cache_setnum('n', 5) uwsgi.cache_inc('n') uwsgi.cache_inc('n', 4) uwsgi.cache_mul('n')",
    );
    run(&server, "uwsgi.cache_dec('n', 2) uwsgi.cache_div('n', 3)");
    assert_eq!(
        value(&server, "uwsgi.cache_getnum('n'), uwsgi.cache_getnum('none')"),
        "6 0"
    );
    assert_eq!(
        value(
            &server,
            "uwsgi.cache_setnum('n', 7), uwsgi.cache_updatenum('n', -7), uwsgi.cache_getnum('n')"
        ),
        "nil true -7"
    );
    run(&server, "uwsgi.cache_set('ended', 'v', -1)");
    assert_eq!(
        run(
            &server,
            "local k = uwsgi.cache_keys() table.sort(k) return table.concat(k, ',')"
        ),
        "long,n"
    );
    assert_eq!(value(&server, "uwsgi.cache_clear(), #uwsgi.cache_keys()"), "true 0");
}

#[test]
fn several_keys_of_a_cache_come_at_once() {
    let server = setup(&["--cache2", "name=one,items=20"]).start();
    run(
        &server,
        "uwsgi.cache_set('a', '1') uwsgi.cache_set('b', '2') uwsgi.cache_setnum('n', 3)",
    );
    assert_eq!(
        value(&server, "uwsgi.cache_get_multi('one', 'a', 'none', 'b')"),
        "1 nil 2"
    );
    assert_eq!(value(&server, "uwsgi.cache_getnum_multi(nil, 'n', 'none')"), "3 nil");
    assert_eq!(
        run(
            &server,
            "local t = uwsgi.cache_get_tmulti('one', 'b', 'a') return t.a, t.b"
        ),
        "1 2"
    );
    assert_eq!(
        run(
            &server,
            "local t, missed = uwsgi.cache_get_tmulti('one', 'b', 'x', 'y') return t.b, t.x, missed"
        ),
        "2 nil 2"
    );
    assert_eq!(value(&server, "uwsgi.cache_exists_multi('one', 'a', 'x')"), "true nil");
    assert_eq!(
        value(&server, "uwsgi.cache_del_multi('one', 'a', 'x', 'b')"),
        "true nil true"
    );
    assert_eq!(
        value(&server, "uwsgi.cache_exists('a'), uwsgi.cache_exists('b')"),
        "nil nil"
    );
}

#[test]
fn several_keys_of_a_cache_are_set_at_once() {
    let server = setup(&["--cache2", "name=one,items=20", "--cache2", "name=two,items=2"]).start();
    assert_eq!(
        value(
            &server,
            "uwsgi.cache_set_multi(0, 'one', 'a', '1', 'b', 2), uwsgi.cache_set_multi(0, nil, 'a', 'x', 'c', '3')"
        ),
        "true nil 1"
    );
    assert_eq!(
        value(
            &server,
            "uwsgi.cache_update_multi(60, 'one', 'a', 'new'), uwsgi.cache_get_multi(nil, 'a', 'b', 'c')"
        ),
        "true new 2 3"
    );
    // a change without a value counts by what it does alone
    run(
        &server,
        "uwsgi.cache_setnum_multi(0, 'two', 'n', 5, 'm', '7') uwsgi.cache_inc_multi(0, 'two', 'n', nil, 'm', 3)
         uwsgi.cache_mul_multi(0, 'two', 'n', 10)",
    );
    run(
        &server,
        "uwsgi.cache_dec_multi(0, 'two', 'n', 20) uwsgi.cache_div_multi(0, 'two', 'n')",
    );
    assert_eq!(value(&server, "uwsgi.cache_getnum_multi('two', 'n', 'm')"), "20 10");
    assert_eq!(
        value(
            &server,
            "uwsgi.cache_updatenum_multi(0, 'two', 'n', 'none', 'm', -1), uwsgi.cache_getnum_multi('two', 'n', 'm')"
        ),
        "nil 20 -1"
    );
    // there is room for two
    assert_eq!(
        run(
            &server,
            "local done, failed = uwsgi.cache_set_multi(0, 'two', 'x', 'y') return done, failed"
        ),
        "nil 1"
    );
    assert_eq!(value(&server, "uwsgi.cache_set_multi(0, 'no', 'x', 'y')"), "nil 1");
    assert!(run(&server, "uwsgi.cache_set_multi(0, 'one', {}, 'y')").contains("a key is no text"));
}

#[test]
fn locks_exclude_and_are_told() {
    let server = setup(&["--locks", "2", "-p", "1"]).start();
    assert_eq!(
        run(
            &server,
            "uwsgi.lock() uwsgi.lock(2) return uwsgi.is_locked(), uwsgi.is_locked(1), uwsgi.is_locked(2)"
        ),
        "true false true"
    );
    assert!(run(&server, "uwsgi.lock(2)").contains("holds the lock already"));
    assert_eq!(
        run(
            &server,
            "uwsgi.unlock() uwsgi.unlock(2) return uwsgi.is_locked(), uwsgi.is_locked(2)"
        ),
        "false false"
    );
    assert!(run(&server, "uwsgi.lock(3)").contains("Invalid lock number 3"));
    assert!(run(&server, "uwsgi.unlock(-1)").contains("Invalid lock number -1"));
}

#[test]
fn functions_are_called_here_and_from_elsewhere() {
    let peer = setup(&["--socket", "127.0.0.1:0", "--threads", "3"]).start();
    let node = format!("'127.0.0.1:{}'", peer.port_of_socket(1));
    assert_eq!(value(&peer, "uwsgi.call('join', 'a', 'b\\0', '')"), "lua:a+b\0+");
    assert_eq!(
        value(
            &peer,
            "uwsgi.rpc(nil, 'number'), uwsgi.call('nothing'), uwsgi.call('fails')"
        ),
        "42 nil nil"
    );
    assert!(peer.log().contains("boom in the function"), "{}", peer.log());
    assert_eq!(value(&peer, "uwsgi.call('nobody')"), "nil");
    assert!(run(&peer, "uwsgi.call()").contains("needs the name"));
    assert!(run(&peer, "uwsgi.call('join', ('x'):rep(65536))").contains("at most 65535 bytes"));
    assert_eq!(
        run(&peer, "return table.concat(uwsgi.rpc_list(), ',')"),
        "join,number,nothing,fails,through"
    );

    let server = setup(&[]).start();
    for n in 0..9 {
        // whichever thread takes it has a state with the function
        assert_eq!(
            value(&server, &format!("uwsgi.rpc({node}, 'join', 'x', '{n}')")),
            format!("lua:x+{n}")
        );
    }
}

#[test]
fn python_and_lua_call_each_other() {
    let python = format!("{EVAL_APP}\nuwsgi.register_rpc('py', lambda *a: b'py:' + b'+'.join(a))\n");
    let both = Setup::new().file("app.lua", APP).wsgi(&python);
    let server = both.args(["--master", "--lua", "@DIR@/app.lua"]).start();
    assert_eq!(eval(&server, "uwsgi.call(b'join', b'one', b'two')"), "b'lua:one+two'");
    assert_eq!(eval(&server, "uwsgi.call(b'through', b'py', b'a', b'b')"), "b'py:a+b'");
}

#[test]
fn metrics_and_the_queue_are_shared() {
    let server = setup(&["--metric", "hits", "--queue", "4", "-p", "2"]).start();
    run(
        &server,
        "uwsgi.metric_set('hits', 10) uwsgi.metric_inc('hits') uwsgi.metric_mul('hits', 3) uwsgi.metric_dec('hits', 3)",
    );
    assert_eq!(
        value(
            &server,
            "uwsgi.metric_get('hits'), uwsgi.metric_div('hits', 2), uwsgi.metric_get('hits')"
        ),
        "30 true 15"
    );
    run(
        &server,
        "uwsgi.metric_set_max('hits', 20) uwsgi.metric_set_max('hits', 2) uwsgi.metric_set_min('hits', 18)",
    );
    assert_eq!(
        value(
            &server,
            "uwsgi.metric_get('hits'), uwsgi.metric_inc('none'), uwsgi.metric_get('none')"
        ),
        "18 nil 0"
    );
    run(&server, "for n = 1, 3 do uwsgi.queue_push('m' .. n .. '\\0') end");
    assert_eq!(
        value(
            &server,
            "uwsgi.queue_slot(), uwsgi.queue_pull_slot(), uwsgi.queue_get(1), uwsgi.queue_get(-1)"
        ),
        "3 0 m2\0 nil"
    );
    assert_eq!(
        value(&server, "uwsgi.queue_last(), uwsgi.queue_last(2)"),
        "m3\0 m3\0 m2\0"
    );
    assert_eq!(
        value(
            &server,
            "uwsgi.queue_pull(), uwsgi.queue_pop(), uwsgi.queue_pull(), uwsgi.queue_pull()"
        ),
        "m1\0 m3\0 m2\0 nil"
    );
    assert_eq!(
        value(
            &server,
            "uwsgi.queue_set(2, 'set'), uwsgi.queue_get(2), uwsgi.queue_set(9, 'x')"
        ),
        "true set nil 1"
    );
    run(&server, "uwsgi.queue_push('a', {'b', 'c'})");
    assert_eq!(value(&server, "uwsgi.queue_pull(2)"), "a b");
    assert_eq!(value(&server, "uwsgi.queue_set({[0] = 'zero', [1] = 'one'})"), "true");
    assert_eq!(
        value(&server, "uwsgi.queue_set(0, 'x', 1, 'y'), uwsgi.queue_get(0, 1, 9)"),
        "true x y nil"
    );
    assert!(run(&server, "uwsgi.queue_push(nil)").contains("a message is a text, not a nil"));
}

#[test]
fn processes_know_themselves_and_the_master_takes_orders() {
    let mut server = setup(&["-p", "1", "--alarm", "say log:"]).start();
    let worker = server.workers()[0].1;
    assert_eq!(
        value(
            &server,
            "uwsgi.mypid(), uwsgi.mywid(), uwsgi.mymid(), uwsgi.pid(), uwsgi.pid(1), uwsgi.i_am_a_spooler()"
        ),
        format!("{worker} 1 0 {} {worker} false", server.pid())
    );
    assert_eq!(
        run(
            &server,
            "local r, v = uwsgi.mem() return r > 0, v > r, uwsgi.micros() > 1e15"
        ),
        "true true true"
    );
    run(&server, "uwsgi.setprocname('lua at work')");
    let title = std::fs::read_to_string(format!("/proc/{worker}/cmdline")).unwrap();
    assert!(title.starts_with("lua at work"), "{title}");
    run(&server, "uwsgi.alarm('say', 'from lua')");
    server.wait_log("from lua", 1);
    assert!(run(&server, "uwsgi.alarm('none', 'x')").contains("unable to raise the alarm none"));
    assert_eq!(value(&server, "uwsgi.stop()"), "true");
    server.wait_exit();
}

#[test]
fn parts_of_a_request_and_of_an_answer() {
    let server = setup(&["-p", "1"]).start();
    assert_eq!(
        value(
            &server,
            "uwsgi.connection_fd() > 2, uwsgi.async_id(), uwsgi.request_id()"
        ),
        "true 0 0"
    );
    assert_eq!(value(&server, "uwsgi.request_id()"), "1");
    assert_eq!(value(&server, "uwsgi.req_input_read()"), "nil");
    let own = "local r = ... return function(env) uwsgi.start_response('202 Taken', {A = {'1', '2'}})
        uwsgi.add_headers({B = 3}) uwsgi.add_headers('D', 5, 'E', {'6', {'7'}}) return nil, {C = '4'}, uwsgi.req_input_read() end";
    let server = Setup::new()
        .file("app.lua", own)
        .args(["--master", "--lua", "@DIR@/app.lua"]);
    let server = server
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "6"])
        .start();
    let answer = rsgi_tests::http::post(server.port(), "/", b"the body");
    let text = format!("{answer:?}");
    assert_eq!(answer.text(), "the body", "{text}");
    for part in ["202", "A", "B", "3", "C", "4"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let sent = |name: &str| answer.headers.iter().filter(|(n, _)| n == name).count();
    assert_eq!((sent("A"), sent("D"), sent("E")), (2, 1, 2), "{text}");
}

#[test]
fn sockets_of_the_application_speak() {
    let peer = setup(&[]).start();
    let server = setup(&[]).start();
    let ask = format!(
        "local fd = uwsgi.connect('127.0.0.1:{}', 3)
         local up = uwsgi.is_connected(fd)
         uwsgi.send(fd, 'GET /?return%201+1 HTTP/1.0\\r\\n\\r\\n')
         local can = uwsgi.wait_fd_read(fd, 3)
         local ready = uwsgi.ready_fd() == fd
         local text = ''
         for piece in function() return uwsgi.recv(fd, 100) end do text = text .. piece end
         uwsgi.close(fd)
         return up, can, ready, text:match('^HTTP/1.%d (%d+)'), text:match('\\r\\n\\r\\n(.*)'), uwsgi.is_connected(fd)",
        peer.port()
    );
    assert_eq!(run(&server, &ask), "true true true 200 2 false");
    assert_eq!(value(&server, "uwsgi.connect('127.0.0.1:1', 1)"), "-1");
    assert!(run(&server, "uwsgi.async_sleep(-1)").contains("the pause -1"));
    assert!(run(&server, "uwsgi.send(1)").contains("send([descriptor,] text)"));
}

#[test]
fn a_mule_runs_the_hook_for_its_messages() {
    let app =
        "uwsgi.mule_msg_hook(function(m) uwsgi.log('mule ' .. uwsgi.mymid() .. ' got ' .. m) end)\n".to_owned() + APP;
    let setup = setup(&["--mule", "--mule", "--farm", "both:1,2", "-p", "1"]).file("app.lua", &app);
    let mut server = setup.start();
    assert_eq!(value(&server, "uwsgi.mule_msg('one', 2)"), "true");
    server.wait_log("mule 2 got one", 1);
    assert_eq!(
        value(&server, "uwsgi.mule_msg('two', 'both'), uwsgi.mule_msg('three')"),
        "true true"
    );
    server.wait_log("got two", 1);
    server.wait_log("got three", 1);
    assert!(run(&server, "uwsgi.mule_msg('x', 3)").contains("invalid mule number 3"));
    assert!(run(&server, "uwsgi.mule_msg('x', 'none')").contains("unknown farm none"));
    assert!(run(&server, "uwsgi.mule_msg_get()").contains("only in a mule"));
}

#[test]
fn files_are_run_in_their_order() {
    let order = "order = (order or '') .. 'pre '";
    let more = "order = order .. 'more '";
    let post = "order = order .. 'post '";
    let fork = "order = order .. 'fork' .. uwsgi.mywid()";
    let setup = setup(&[
        "-p",
        "1",
        "--lua-postfork-worker",
        "@DIR@/fork.lua",
        "--lua-postload",
        "@DIR@/post.lua",
    ])
    .args(["--lua-load", "@DIR@/pre.lua", "--lua-load", "@DIR@/more.lua"])
    .file("app.lua", &format!("order = order .. 'app '\n{APP}"))
    .file("pre.lua", order)
    .file("more.lua", more)
    .file("post.lua", post)
    .file("fork.lua", fork);
    assert_eq!(value(&setup.start(), "order"), "pre more app post fork1");
}

#[test]
fn garbage_is_collected_after_so_many_requests() {
    let server = setup(&["-p", "1", "--lua-gc-freq=2", "--lua-gc-full"]).start();
    // Lua itself collects nothing: what is seen is the option's work
    if run(&server, "collectgarbage('stop') gone = 0 return jit") != "nil" {
        return rsgi_tests::skipped("LuaJIT's tables have no finalizers");
    }
    let make = "setmetatable({}, {__gc = function() gone = gone + 1 end})";
    let seen: Vec<String> = (0..4).map(|_| run(&server, &format!("{make} return gone"))).collect();
    assert_eq!(seen, ["0", "1", "1", "3"]);
    let ended = setup(&["--lua-gc-freq=often"]).run();
    assert_ne!(ended.code, 0);
    assert!(
        ended.output.contains("lua-gc-freq is a number of requests"),
        "{}",
        ended.output
    );
}
