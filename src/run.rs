//! Wires the operator together, and runs it until a signal.

use std::time::{SystemTime, UNIX_EPOCH};

use actix::{Actor as _, Addr};
use anyhow::{Context as _, anyhow};
use extendedjob_actors::{
    Candidacy, Cluster, Kubelets, Metrics, Neighbours, Operator, Readiness, Scope, Spool, Stop, Ways, client,
};
use futures::future::{join_all, select_all};
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tracing::{info, warn};

use crate::{
    admin,
    args::Args,
    http::{self, Answers},
    telemetry::LogFilter,
};

/// Runs until SIGTERM or SIGINT, which are a good end; every other end is an error.
pub(crate) async fn run(args: Args, log_filter: LogFilter) -> anyhow::Result<()> {
    allow_many_files();
    let config = config(&args).await.context("can't find out how to reach the cluster")?;
    info!(version = env!("CARGO_PKG_VERSION"), cluster = %config.cluster_url, "the operator starts");
    let home = args.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let spool = Spool::new(&args.spool_folder, args.spool_limit_mib << 20);
    let spool = spool.with_context(|| format!("can't use the folder {}", args.spool_folder.display()))?;
    let metrics = Metrics::default();
    let kubelets = Kubelets::new(&config, args.kubelets(&home), &metrics);
    let kubelets = kubelets.context("can't set up a client for kubelets")?;
    let client = client(config, &metrics).context("can't set up a client for the cluster")?;
    let scopes = Scope::of_each(&args.namespaces);
    let cluster = Cluster::new(client, spool).with_kubelets(kubelets).with_metrics(metrics.clone());
    let cluster = cluster.serving(scopes.clone());

    tokio::spawn(admin::serve(args.admin_listen, log_filter));
    let (limits, ways, identity) = (args.limits(), ways(&args, &cluster).await, identity());
    let (mut started, mut ends, mut operators) = (Vec::new(), Vec::new(), Vec::new());
    let neighbours = Neighbours::default();
    for scope in scopes {
        info!(?scope, "what is watched");
        let name = scope.name(&args.lease_name);
        let candidacy = Candidacy { namespace: home.clone(), name, identity: identity.clone() };
        let (cluster, readiness) = (cluster.within(scope), Readiness::default());
        let (alive, ended) = oneshot::channel::<()>();
        let (neighbours, ways, announced) = (neighbours.clone(), ways.clone(), readiness.clone());
        let operator =
            Operator::new(cluster.clone(), neighbours, candidacy.clone(), limits, ways, announced, alive);
        started.push(Started { cluster: cluster.clone(), candidacy, actor: operator.start() });
        ends.push(ended);
        operators.push((cluster, readiness));
    }

    let mut terminate = signal(SignalKind::terminate()).context("can't listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen to SIGINT")?;
    let reason = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        _ = select_all(ends) => Err(anyhow!("an actor that everything rests on has fallen")),
        served = http::serve(args.listen, Answers { metrics, operators }) => served,
    };
    info!("stopping, waiting for the writes under way");
    // Whatever comes of one, the others give their Leases back.
    let stopped = join_all(started.into_iter().map(Started::stop)).await;
    reason.and(stopped.into_iter().collect())
}

/// One of the operators of this process.
struct Started {
    cluster: Cluster,
    candidacy: Candidacy,
    actor: Addr<Operator>,
}

impl Started {
    /// Has it end when the writes under way are answered, and give its Lease back.
    async fn stop(self) -> anyhow::Result<()> {
        let quiet = self.cluster.quiet().await;
        self.actor.send(Stop).await.context("the operator has ended by itself")?;
        match quiet {
            Some(quiet) => self.cluster.resign(&self.candidacy, quiet).await,
            None => warn!("some writes were not answered in time; a standby takes over when the Lease ends"),
        }
        Ok(())
    }
}

/// How streams can be told apart when the operator starts.
async fn ways(args: &Args, cluster: &Cluster) -> Ways {
    let mut ways = args.ways();
    if ways.depend_on_node_logs() {
        match cluster.may_read_node_logs().await {
            Ok(may) => {
                info!(kubelet = may, "whether streams may be read from kubelets");
                ways.kubelet = may;
            }
            Err(error) => warn!(%error, "it is asked again"),
        }
    }
    ways
}

/// Each log that is followed has a connection and a file. Some container runtimes give 1,024 to who asks for no more.
fn allow_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        warn!(%error, "can't raise the limit of open files");
    }
}

/// Tells this process from all others that ever ran: a container that is started again has the name
/// of the one before it.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "operator".to_owned());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{host}_{:x}-{:x}", std::process::id(), since.as_nanos())
}

/// Inside a cluster the pod's service account, unless a kubeconfig or a context is named.
async fn config(args: &Args) -> anyhow::Result<Config> {
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    if let Some(path) = &args.kubeconfig {
        let kubeconfig =
            Kubeconfig::read_from(path).with_context(|| format!("can't read {}", path.display()))?;
        return Ok(Config::from_custom_kubeconfig(kubeconfig, &options).await?);
    }
    if args.context.is_some() {
        return Ok(Config::from_kubeconfig(&options).await?);
    }
    Ok(Config::infer().await?)
}
