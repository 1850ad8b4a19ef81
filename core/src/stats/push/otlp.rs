//! Metrics for OpenTelemetry collectors: OTLP over HTTP, in its JSON form.

use super::form::Row;
use super::resolve;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where collectors take metrics.
const PATH: &str = "/v1/metrics";
/// The port of collectors.
const PORT: u16 = 4318;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u8 = 2;

/// `http://HOST[:PORT][/PATH]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    host: String,
    path: String,
    address: SocketAddr,
}

impl Url {
    /// Reads one, and looks its host up.
    ///
    /// # Errors
    /// One line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            None => text,
            Some((scheme, _)) => {
                return Err(format!(
                    "\"{scheme}://\" is not http://: collectors with TLS need a local agent"
                ));
            }
        };
        let (host, path) = rest.find('/').map_or((rest, PATH), |at| rest.split_at(at));
        Ok(Self {
            host: host.to_owned(),
            path: if path == "/" { PATH } else { path }.to_owned(),
            address: resolve(host, PORT)?,
        })
    }

    /// Sends a document.
    ///
    /// # Errors
    /// The collector is not there, or does not take it.
    pub fn post(&self, body: &[u8], patience: Duration) -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.address, patience)?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_read_timeout(Some(patience))?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.path,
            self.host,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat())?;
        let mut line = String::new();
        BufReader::new(stream.take(4096)).read_line(&mut line)?;
        match line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()) {
            Some(200..=299) => Ok(()),
            _ => Err(io::Error::other(format!("the collector says \"{}\"", line.trim_end()))),
        }
    }
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
        .to_string()
}

/// The document: counters as sums since the server began, all else as gauges.
pub fn document(rows: &[Row], service: &str, began: SystemTime, now: SystemTime) -> Vec<u8> {
    let (began, now) = (nanos(began), nanos(now));
    let metric = |row: &Row| {
        let mut points = serde_json::json!({ "dataPoints": [{
            "asInt": row.value.to_string(),
            "startTimeUnixNano": began,
            "timeUnixNano": now,
        }]});
        if row.is_counter {
            points["aggregationTemporality"] = CUMULATIVE.into();
            points["isMonotonic"] = true.into();
            serde_json::json!({ "name": row.name, "sum": points })
        } else {
            serde_json::json!({ "name": row.name, "gauge": points })
        }
    };
    let name = serde_json::json!({ "key": "service.name", "value": { "stringValue": service } });
    serde_json::json!({ "resourceMetrics": [{
        "resource": { "attributes": [name] },
        "scopeMetrics": [{
            "scope": { "name": "rsgi", "version": env!("CARGO_PKG_VERSION") },
            "metrics": rows.iter().map(metric).collect::<Vec<_>>(),
        }],
    }]})
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_sums_and_gauges() {
        let row = |name: &str, is_counter| Row {
            name: name.into(),
            is_counter,
            value: 5,
        };
        let text = document(
            &[row("c", true), row("g", false)],
            "shop",
            UNIX_EPOCH,
            UNIX_EPOCH + Duration::from_secs(1),
        );
        let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let resource = &read["resourceMetrics"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "shop");
        let metrics = &resource["scopeMetrics"][0]["metrics"];
        assert_eq!(metrics[0]["sum"]["dataPoints"][0]["timeUnixNano"], "1000000000");
        assert_eq!(
            (
                &metrics[0]["sum"]["isMonotonic"],
                &metrics[0]["sum"]["aggregationTemporality"]
            ),
            (&true.into(), &2.into())
        );
        assert_eq!(metrics[1]["gauge"]["dataPoints"][0]["asInt"], "5");
    }

    #[test]
    fn urls_have_defaults() {
        let url = Url::parse("http://127.0.0.1").unwrap();
        assert_eq!((url.address.port(), url.path.as_str()), (4318, "/v1/metrics"));
        let url = Url::parse("127.0.0.1:9/x/y").unwrap();
        assert_eq!((url.address.port(), url.path.as_str()), (9, "/x/y"));
        assert!(Url::parse("https://127.0.0.1").unwrap_err().contains("https"));
    }
}
