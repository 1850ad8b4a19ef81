//! A condition of routing: `--route-if "ends:.php reply:410 gone"`.

use rsgi_plugin_api::{HookError, Request, kind};

pub struct Ends;

impl kind::RouteCondition for Ends {
    fn holds(req: &mut Request<'_>, argument: &str) -> Result<bool, HookError> {
        Ok(req.path_info().ends_with(argument.as_bytes()))
    }
}
