//! The plugin, as kubectl runs it.

use std::process::Output;

use anyhow::Result;
use e2e::{Namespace, extended_job, pod, poll, scenario, template};
use serde_json::{Value, json};

/// An errand that runs this script.
fn errand(ns: &Namespace, name: &str, template: Value) -> Result<()> {
    ns.declare(extended_job(name).with("/run", json!("manually")).running(template))
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn run_waits_for_the_run_and_ends_with_its_exit_code() -> Result<()> {
    scenario(|ns| {
        errand(ns, "fine", template::script("true"))?;
        errand(ns, "broken", template::script("exit 42"))?;
        for (errand, code) in [("fine", 0), ("broken", 42)] {
            let ended = ns.kubectl.ejob(&["run", errand, "--wait", "--timeout", "90s"])?;
            assert_eq!(ended.status.code(), Some(code), "{errand}: {}", complaint(&ended));
            let seen = ns.kubectl.get(&["extendedjob", errand])?;
            assert_eq!((&seen["spec"]["run"], &seen["status"]["runNumber"]), (&json!("manually"), &json!(1)));
        }
        Ok(())
    })
}

#[test]
fn run_ends_with_125_where_no_container_tells_of_the_failure() -> Result<()> {
    scenario(|ns| {
        let mut late = template::parked();
        late["spec"]["suspend"] = json!(false);
        late["spec"]["activeDeadlineSeconds"] = json!(1);
        late["spec"]["template"]["spec"]["nodeName"] = json!("nowhere");
        errand(ns, "late", late)?;
        let ended = ns.kubectl.ejob(&["run", "late", "--wait", "--timeout", "90s"])?;
        assert_eq!(ended.status.code(), Some(125), "{}", complaint(&ended));
        assert!(complaint(&ended).contains("Failed"), "{}", complaint(&ended));
        Ok(())
    })
}

#[test]
fn why_tells_of_an_image_that_cannot_be_pulled() -> Result<()> {
    scenario(|ns| {
        let mut template = template::script("true");
        template["spec"]["template"]["spec"]["containers"][0]["image"] = json!("no-such-image:1");
        ns.create(extended_job("stuck").once().running(template))?;
        ns.jobs_until("stuck", 1)?;
        poll("the plugin tells of the image", || {
            let why = printed(&ns.kubectl.ejob(&["why", "stuck"])?);
            let told =
                ["waits: ErrImagePull", "waits: ImagePullBackOff"].iter().any(|told| why.contains(told));
            Ok(if told { Ok(()) } else { Err(why) })
        })
    })
}

#[test]
fn what_is_not_there_is_said_in_a_line() -> Result<()> {
    scenario(|ns| {
        let missing = ns.kubectl.ejob(&["status", "ejob/nosuch"])?;
        assert_eq!(complaint(&missing), format!("error: no ExtendedJob nosuch in namespace {}\n", ns.name));
        Ok(())
    })
}

#[test]
fn run_prints_what_the_pod_writes_while_it_runs() -> Result<()> {
    scenario(|ns| {
        errand(ns, "speaker", template::script("echo one; sleep 5; echo two"))?;
        let ended = ns.kubectl.ejob(&["run", "speaker", "--logs", "--timeout", "90s"])?;
        assert!(ended.status.success(), "{}", complaint(&ended));
        assert_eq!(printed(&ended), "one\ntwo\n");
        Ok(())
    })
}

#[test]
fn run_prints_each_stream_where_it_went() -> Result<()> {
    scenario(|ns| {
        let speaker = extended_job("speaker").with("/run", json!("manually")).stdout_to("out");
        ns.declare(speaker.running(template::script("echo out; echo err >&2; sleep 3")))?;
        let ended = ns.kubectl.ejob(&["run", "speaker", "--logs", "--timeout", "90s"])?;
        assert_eq!(printed(&ended), "out\n");
        assert!(complaint(&ended).lines().any(|line| line == "err"), "{}", complaint(&ended));
        Ok(())
    })
}

#[test]
fn run_prints_what_each_run_of_a_container_writes() -> Result<()> {
    scenario(|ns| {
        let script = "n=$(cat /kept/n 2> /kept/no || echo 1); echo $((n+1)) > /kept/n; echo out $n; echo err $n >&2; sleep 3; [ $n = 3 ]";
        let again = extended_job("again").with("/run", json!("manually")).stdout_to("out");
        let again = again.with("/output/stderr/configRef", json!("out"));
        ns.declare(again.running(template::restarted(script, 5)))?;
        let ended = ns.kubectl.ejob(&["run", "again", "--logs", "--wait", "--timeout", "120s"])?;
        assert_eq!(printed(&ended), "out 1\nout 2\nout 3\n");
        let errors: Vec<String> =
            complaint(&ended).lines().filter(|line| line.starts_with("err")).map(str::to_owned).collect();
        assert_eq!(errors, ["err 1", "err 2", "err 3"]);
        Ok(())
    })
}

#[test]
fn run_gives_up_after_its_time_and_the_run_goes_on() -> Result<()> {
    scenario(|ns| {
        errand(ns, "slow", template::parked())?;
        let ended = ns.kubectl.ejob(&["run", "slow", "--wait", "--timeout", "3s"])?;
        assert!(
            !ended.status.success() && complaint(&ended).contains("not over after"),
            "{}",
            complaint(&ended)
        );
        ns.jobs_until("slow", 1).map(drop)
    })
}

#[test]
fn run_asks_a_one_off_again_and_refuses_a_triggered_one() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("migrate").once().running(template::script("true")))?;
        ns.condition_of("migrate", "Complete", "True")?;
        let ended = ns.kubectl.ejob(&["run", "migrate", "--wait", "--timeout", "90s"])?;
        assert!(ended.status.success(), "{}", complaint(&ended));
        ns.status_until("migrate", &json!({"succeeded": 2, "runNumber": 2}))?;

        ns.declare(extended_job("on-ready").on_ready())?;
        let refused = ns.kubectl.ejob(&["run", "on-ready"])?;
        assert!(
            !refused.status.success() && complaint(&refused).contains("pods start"),
            "{}",
            complaint(&refused)
        );
        Ok(())
    })
}

#[test]
fn the_runs_are_listed_and_drawn() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("on-ready").on_ready().running(template::script("exit 3")))?;
        ns.start(pod("redis-0").ready())?;
        ns.condition_of("on-ready", "Failed", "True")?;
        let listed = printed(&ns.kubectl.ejob(&["runs", "on-ready"])?);
        assert!(listed.starts_with("JOB") && listed.contains("ready: redis-0"), "{listed}");
        assert!(listed.contains("main 3 (Error)"), "{listed}");
        let drawn = printed(&ns.kubectl.ejob(&["runs", "on-ready", "--timeline"])?);
        assert!(drawn.contains('×') && drawn.contains("ready: redis-0"), "{drawn}");
        Ok(())
    })
}

#[test]
fn status_and_why_tell_what_it_waits_for() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("on-ready").on_ready().of("app", "web"))?;
        ns.start(pod("web-0").labelled("app", "web"))?;
        let status = printed(&ns.kubectl.ejob(&["status", "on-ready"])?);
        assert!(status.contains("waits for pods that turn ready"), "{status}");
        let why = printed(&ns.kubectl.ejob(&["why", "on-ready"])?);
        assert!(why.contains("each matching pod that becomes ready") && why.contains("web-0"), "{why}");
        ns.suspend("on-ready")?;
        let why = printed(&ns.kubectl.ejob(&["why", "on-ready"])?);
        assert!(why.contains("suspended"), "{why}");
        Ok(())
    })
}

#[test]
fn output_is_printed_from_where_it_is_kept() -> Result<()> {
    scenario(|ns| {
        let greet = extended_job("greet").once().running(template::script("printf 'a\\001b'"));
        ns.create(greet.with("/output/stdout/secretRef", json!("kept")))?;
        ns.condition_of("greet", "OutputWritten", "True")?;
        let output = ns.kubectl.ejob(&["output", "greet"])?;
        // No terminal: the very bytes.
        assert_eq!(output.stdout, b"a\x01b", "{}", complaint(&output));
        let none = ns.kubectl.ejob(&["output", "greet", "--stream", "stderr"])?;
        assert!(!none.status.success(), "{}", printed(&none));

        ns.create(extended_job("late").once().running(template::script("echo late")).stdout_to("kept-too"))?;
        ns.condition_of("late", "OutputWritten", "True")?;
        ns.create(
            extended_job("later").once().running(template::script("echo later")).stdout_to("kept-too"),
        )?;
        ns.reason_of("later", "OutputWritten", "KeyExists")?;
        let kept_out = ns.kubectl.ejob(&["output", "later"])?;
        assert!(!kept_out.status.success() && kept_out.stdout.is_empty(), "an empty output is another thing");
        Ok(())
    })
}

#[test]
fn shells_can_complete_its_commands() -> Result<()> {
    scenario(|ns| {
        let script = ns.kubectl.ejob(&["completion", "bash"])?;
        assert!(printed(&script).contains("timeline"), "{}", complaint(&script));
        Ok(())
    })
}
