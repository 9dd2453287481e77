//! Completions: a script for a shell that completes `kubectl-ejob`, and what kubectl itself asks for when it completes
//! `kubectl ejob`: an executable `kubectl_complete-ejob`, which is this program under another name
//! (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/#create-plugin-completions>).

use std::path::Path;

use anyhow::Result;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use crate::{
    args::{Args, Connection},
    cluster::Cluster,
    text::say,
};

const NAME: &str = "kubectl_complete-ejob";

/// What cobra calls ShellCompDirectiveNoFileComp: file names are no candidates.
const NO_FILES: &str = ":4";

/// Options that stand before the word behind them.
const WITH_VALUE: [&str; 6] = ["-n", "--namespace", "--context", "--kubeconfig", "--timeout", "--stream"];

pub(crate) fn print_script(shell: Shell) -> Result<()> {
    let mut script = vec![];
    clap_complete::generate(shell, &mut Args::command(), "kubectl-ejob", &mut script);
    Ok(say(&String::from_utf8_lossy(&script))?)
}

/// Whether the program was called by kubectl to complete a command line.
pub(crate) fn is_asked_for(words: &[String]) -> bool {
    let called = words.first().and_then(|path| Path::new(path).file_stem());
    called.is_some_and(|name| name == NAME)
}

/// Prints the candidates for the last of these words, one a line.
pub(crate) async fn complete(words: &[String]) -> Result<()> {
    let (last, before) = words.get(1..).and_then(<[_]>::split_last).map_or(("", &[][..]), |(l, b)| (l, b));
    let mut candidates = match candidates(before, last) {
        Wanted::Words(words) => words,
        Wanted::Names => names(before).await,
    };
    candidates.retain(|candidate| candidate.starts_with(last));
    candidates.push(NO_FILES.to_owned());
    Ok(say(&(candidates.join("\n") + "\n"))?)
}

/// What may stand next.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Words(Vec<String>),
    /// The name of an ExtendedJob.
    Names,
}

fn candidates(before: &[String], last: &str) -> Wanted {
    let takes_value = |word: &String| WITH_VALUE.contains(&word.as_str());
    if before.last().is_some_and(takes_value) {
        return Wanted::Words(vec![]);
    }
    let is_value = |place: usize| place > 0 && takes_value(&before[place - 1]);
    let is_plain = |&(place, word): &(usize, &String)| !word.starts_with('-') && !is_value(place);
    let plain: Vec<&String> = before.iter().enumerate().filter(is_plain).map(|(_, word)| word).collect();
    let command = Args::command();
    let Some(subcommand) = plain.first() else {
        return Wanted::Words(command.get_subcommands().map(|it| it.get_name().to_owned()).collect());
    };
    if last.starts_with('-') {
        let own = command.find_subcommand(subcommand).into_iter().flat_map(clap::Command::get_arguments);
        let all = own.chain(command.get_arguments());
        return Wanted::Words(all.filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect());
    }
    if plain.len() == 1 && subcommand.as_str() != "completion" {
        Wanted::Names
    } else {
        Wanted::Words(vec![])
    }
}

/// The ExtendedJobs there; none, if that can't be known.
async fn names(before: &[String]) -> Vec<String> {
    let line = ["kubectl-ejob"].into_iter().chain(before.iter().map(String::as_str)).chain(["name"]);
    let connection = Args::try_parse_from(line).map(|args| args.connection);
    let connection = connection.unwrap_or(Connection { namespace: None, context: None, kubeconfig: None });
    match Cluster::connect(&connection).await {
        Ok(cluster) => cluster.names().await.unwrap_or_default(),
        Err(_) => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subcommands_names_and_options_are_completed_where_they_belong() {
        let wanted = |line: &str, last| {
            let before: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            match candidates(&before, last) {
                Wanted::Names => "NAMES".to_owned(),
                Wanted::Words(words) => words.join(" "),
            }
        };
        assert!(wanted("", "").starts_with("run status runs output why"));
        assert!(wanted("-n run", "").starts_with("run status"), "a namespace may be named so");
        for line in ["run", "-n ns run", "runs --timeline", "why -n ns"] {
            assert_eq!(wanted(line, ""), "NAMES", "{line}");
        }
        assert_eq!(wanted("run --wait x", "--t"), wanted("run", "-"));
        assert!(wanted("run", "-").contains("--timeout") && wanted("run", "-").contains("--namespace"));
        for line in ["run x", "run -n", "completion"] {
            assert_eq!(wanted(line, ""), "", "{line}");
        }
    }

    #[test]
    fn kubectl_asks_by_the_name_of_the_program() {
        let is_asked_for = |path: &str| is_asked_for(&[path.to_owned()]);
        assert!(is_asked_for("/home/me/bin/kubectl_complete-ejob") && !is_asked_for("/bin/kubectl-ejob"));
    }
}
