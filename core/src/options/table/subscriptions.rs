//! Announcements to gateways.

use super::values::pairs;
use crate::options::spec::{Group, OptionSpec, flag, number, parsed};
use crate::settings::{Subscription, SubscriptionServer};
use std::net::ToSocketAddrs;

pub static GROUP: Group = Group {
    title: "Announcements to gateways",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    parsed(
        "subscribe-to",
        "announce a host to a gateway with http-subscription-server: SERVER:KEY, @FILE for several keys",
        |s, v| {
            s.subscriptions.list.extend(of_words(v)?);
            Ok(())
        },
    )
    .aliases(&["st", "subscribe"])
    .master(),
    parsed(
        "subscribe2",
        "as subscribe-to: server=SERVER,key=KEY[,addr=ADDRESS][,weight=N][,modifier1=N][,modifier2=N]",
        |s, v| {
            s.subscriptions.list.push(of_pairs(v)?);
            Ok(())
        },
    )
    .master(),
    number("subscribe-freq", "seconds between two announcements (10)", |s, n| {
        s.subscriptions.freq = n
    })
    .range(1, 86400),
    number(
        "subscribe-with-modifier1",
        "the modifier1 that announcements ask for",
        |s, n| s.subscriptions.modifier1 = Some(n as u8),
    )
    .range(0, 255),
    number("weight", "the weight in announcements (1)", |s, n| {
        s.subscriptions.weight = Some(n)
    })
    .range(1, 65535),
    flag("auto-weight", "announce the number of cores as weight", |s, on| {
        s.subscriptions.auto_weight = on
    }),
    flag(
        "unsubscribe-on-graceful-reload",
        "take announcements back before a reload",
        |s, on| s.subscriptions.leave_on_reload = on,
    ),
];

fn server(text: &str) -> Result<SubscriptionServer, String> {
    if text.starts_with('/') {
        return Ok(SubscriptionServer::Unix(text.to_owned()));
    }
    let full = if text.starts_with(':') {
        format!("127.0.0.1{text}")
    } else {
        text.to_owned()
    };
    let found = full
        .to_socket_addrs()
        .map_err(|e| format!("invalid address \"{text}\": {e}"))?
        .next();
    found
        .map(SubscriptionServer::Inet)
        .ok_or_else(|| format!("the name in \"{text}\" has no address"))
}

fn announcement(server: SubscriptionServer, key: &str) -> Subscription {
    Subscription {
        server,
        key: key.to_owned(),
        address: None,
        weight: None,
        modifier1: None,
        modifier2: 0,
    }
}

/// `HOST:PORT:KEY`, `/PATH:KEY`; `@FILE` in place of the key.
fn of_words(text: &str) -> Result<Vec<Subscription>, String> {
    let form = || format!("invalid subscription \"{text}\": give HOST:PORT:KEY, /PATH:KEY, or @FILE for the key");
    let from = match text {
        path if path.starts_with('/') => 0,
        bracketed if bracketed.starts_with('[') => bracketed.find("]:").ok_or_else(form)? + 2,
        address => address.find(':').ok_or_else(form)? + 1,
    };
    let colon = from + text[from..].find(':').ok_or_else(form)?;
    let (server, key) = (server(&text[..colon])?, text[colon + 1..].trim());
    if key.contains(',') {
        return Err(format!(
            "subscription \"{text}\": signed announcements are not supported; take the part from the comma on away"
        ));
    }
    let keys = match key.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|e| format!("cannot read {file}: {e}"))?,
        None => key.to_owned(),
    };
    let keys: Vec<&str> = keys.lines().map(str::trim).filter(|key| !key.is_empty()).collect();
    match keys.is_empty() {
        true => Err(form()),
        false => Ok(keys.into_iter().map(|key| announcement(server.clone(), key)).collect()),
    }
}

fn of_pairs(text: &str) -> Result<Subscription, String> {
    let (mut gateway, mut made) = (None, announcement(SubscriptionServer::Unix(String::new()), ""));
    let number = |key: &str, value: &str, most: u64| {
        let number = value.parse().ok().filter(|n| *n <= most);
        number.ok_or_else(|| format!("subscribe2 \"{text}\": {key} is a number up to {most}"))
    };
    for (key, value) in pairs(text)? {
        match key.as_str() {
            "server" => gateway = Some(server(&value)?),
            "key" => made.key = value,
            "addr" | "address" => made.address = Some(value),
            "weight" => made.weight = Some(number("weight", &value, 65535)?),
            "modifier1" => made.modifier1 = Some(number("modifier1", &value, 255)? as u8),
            "modifier2" => made.modifier2 = number("modifier2", &value, 255)? as u8,
            _ => {
                return Err(format!(
                    "subscribe2 \"{text}\": {key} is not known; there are server, key, addr, weight, modifier1 and modifier2"
                ));
            }
        }
    }
    made.server = gateway.ok_or_else(|| format!("subscribe2 \"{text}\": server=HOST:PORT is missing"))?;
    match made.key.is_empty() {
        true => Err(format!("subscribe2 \"{text}\": key=HOST is missing")),
        false => Ok(made),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(text: &str) -> SubscriptionServer {
        SubscriptionServer::Inet(text.parse().expect("an address"))
    }

    #[test]
    fn words() {
        let one = |text| of_words(text).map(|all| (all[0].server.clone(), all[0].key.clone()));
        assert_eq!(
            one("127.0.0.1:4040:a.test"),
            Ok((inet("127.0.0.1:4040"), "a.test".into()))
        );
        assert_eq!(
            one(":4040:a.test:8080"),
            Ok((inet("127.0.0.1:4040"), "a.test:8080".into()))
        );
        assert_eq!(one("[::1]:4040:a"), Ok((inet("[::1]:4040"), "a".into())));
        assert_eq!(
            one("/run/x:a"),
            Ok((SubscriptionServer::Unix("/run/x".into()), "a".into()))
        );
        for bad in [
            "",
            "a",
            "127.0.0.1:4040",
            "127.0.0.1:4040:",
            "127.0.0.1:x:a",
            "127.0.0.1:1:a,SHA1:k",
            "127.0.0.1:1:@/none",
        ] {
            assert!(of_words(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pairs_of_subscribe2() {
        let made = of_pairs("server=127.0.0.1:1,key=a,addr=127.0.0.1:2,weight=3,modifier1=6").expect("fine");
        assert_eq!((made.server, made.key.as_str()), (inet("127.0.0.1:1"), "a"));
        assert_eq!(
            (made.address.as_deref(), made.weight, made.modifier1),
            (Some("127.0.0.1:2"), Some(3), Some(6))
        );
        for bad in [
            "key=a",
            "server=127.0.0.1:1",
            "server=127.0.0.1:1,key=a,sign=x",
            "server=127.0.0.1:1,key=a,weight=x",
        ] {
            assert!(of_pairs(bad).is_err(), "{bad}");
        }
    }
}
