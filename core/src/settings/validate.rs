//! What single options cannot see: values that contradict each other.

use super::Settings;

impl Settings {
    /// Repairs what has an obvious meaning (a line for each) and reports what has none.
    pub fn validate(&mut self, say: &mut dyn FnMut(&str)) -> Vec<String> {
        let mut problems = Vec::new();
        let limits = &self.limits;
        if limits.max_worker_lifetime > 0 && limits.max_worker_lifetime <= limits.min_worker_lifetime {
            problems.push(format!(
                "max-worker-lifetime: invalid value {}: it must be above min-worker-lifetime ({})",
                limits.max_worker_lifetime, limits.min_worker_lifetime
            ));
        }
        let processes = &mut self.processes;
        if processes.cheaper > 0 {
            if processes.cheaper >= processes.workers {
                problems.push(format!(
                    "cheaper: invalid value {}: it must be below processes ({})",
                    processes.cheaper, processes.workers
                ));
            }
            if processes.cheaper_initial > 0 && processes.cheaper_initial < processes.cheaper {
                say(&format!(
                    "warning: invalid cheaper-initial value ({}), must be equal or higher than cheaper ({}), using {}",
                    processes.cheaper_initial, processes.cheaper, processes.cheaper
                ));
                processes.cheaper_initial = processes.cheaper;
            }
            if processes.cheaper_initial > processes.workers {
                problems.push(format!(
                    "cheaper-initial: invalid value {}: it must not be above processes ({})",
                    processes.cheaper_initial, processes.workers
                ));
            }
        }
        if processes.async_cores > 1 && processes.threads > 1 {
            problems.push("async: cannot be used together with threads: choose one".into());
        }
        let shared = self.sockets.shared.len();
        for socket in &self.sockets.bind {
            let Some(wanted) = socket.address.strip_prefix('=') else {
                continue;
            };
            match wanted.parse::<usize>() {
                Ok(number) if number < shared => {}
                _ => problems.push(format!(
                    "{}: socket ={wanted} names no shared socket: {shared} are configured, the first is =0",
                    socket.origin
                )),
            }
        }
        problems
    }
}
