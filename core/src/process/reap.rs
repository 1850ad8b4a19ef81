//! Children that have ended, one by one; whoever has children asks after each SIGCHLD. `nix` knows no real-time signals,
//! and a child that one of them has ended would never be seen.

/// How a child has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its pid.
    pub pid: i32,
    /// Its exit code; `None`: a signal has ended it.
    pub code: Option<i32>,
    /// That signal; 0: none.
    pub signal: i32,
}

/// The next one, if one has ended.
pub fn next() -> Option<Ended> {
    loop {
        let mut status = 0;
        // SAFETY: a place of ours.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        match pid {
            ..=0 if nix::Error::last() == nix::Error::EINTR && pid < 0 => {}
            ..=0 => return None,
            pid if libc::WIFEXITED(status) => {
                return Some(Ended {
                    pid,
                    code: Some(libc::WEXITSTATUS(status)),
                    signal: 0,
                });
            }
            pid if libc::WIFSIGNALED(status) => {
                return Some(Ended {
                    pid,
                    code: None,
                    signal: libc::WTERMSIG(status),
                });
            }
            _ => {}
        }
    }
}
