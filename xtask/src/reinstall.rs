//! An uninstallation, and an installation after it, on a cluster that goes on running.

use crate::report::Report;
use crate::target::Target;
use crate::{install, libtest, process, ways};

/// Modules of tests that fail at once where the API server holds on to something of before: it takes no Job then.
const TESTS: [&str; 2] = ["once::", "leaders::"];

/// Uninstalls the operator as users do, installs it anew, and looks whether it makes Jobs.
pub(crate) fn test(target: &Target, image: &str, report: &mut Report) -> Option<()> {
    report.counted("end-to-end tests after an uninstallation", |count| {
        for command in install::UNINSTALL {
            process::run(target.kubectl().current_dir(process::project()).args(command))?;
        }
        install::apply(target, image)?;
        libtest::run(&mut ways::end_to_end(target, None, &TESTS)?, count)
    })
}
