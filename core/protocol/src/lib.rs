//! Wire protocols of rsgi: bytes to messages and back, with no I/O and no process state.
//! Workers, gateways and fuzz targets all use this one parser, so that they can never disagree about a request.
//! It runs in any process and any thread, and after warm-up it allocates nothing per request.
//!
//! # A request from bytes to CGI variables
//!
//! ```
//! use rsgi_protocol::{cgi, http1};
//!
//! let limits = http1::Limits::default();
//! let mut head = http1::Head::new(); // one per connection, reused
//! let mut scratch = cgi::Scratch::new(); // likewise
//! let buf = b"GET /a%20b?q=1 HTTP/1.1\r\nHost: h\r\nX-A: v\r\n\r\n";
//!
//! match http1::parse_head(buf, &limits, &mut head) {
//!     Ok(http1::Progress::Partial) => { /* read more into the same buffer, call again */ }
//!     Ok(http1::Progress::Complete) => {
//!         let origin = cgi::Origin { server_name: b"localhost", server_port: b"80", ..Default::default() };
//!         let mut vars: Vec<(&[u8], &[u8])> = Vec::new(); // any `VarSink`
//!         cgi::push_vars(&head, buf, &origin, &mut scratch, &mut vars);
//!         assert!(vars.contains(&(b"PATH_INFO", b"/a b")));
//!         assert!(vars.contains(&(b"HTTP_X_A", b"v")));
//!         // the body, if any, starts at `head.len`; its framing is `head.body`
//!     }
//!     Err(e) => { /* answer e.status(), then close */ let _ = e.status(); }
//! }
//! ```

pub mod allow;
pub mod cgi;
pub mod chunked;
pub mod coding;
pub mod fastcgi;
mod field;
pub mod forwarded;
pub mod http1;
pub mod octet;
mod pairs;
pub mod proxy;
pub mod response;
pub mod scgi;
pub mod target;
pub mod uwsgi;
pub mod websocket;

pub use field::{Field, Name, Span};
pub use pairs::Pair;
