//! `examples/kubernetes`: the manifests held against Kubernetes's schemas, and regate run as they say, with volumes laid
//! out as the kubelet lays them out.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::rustls::ClientConfig;

use super::{LONGEST_END, example, read, root, seconds, write_policy_tests};
use crate::{
    harness::{
        http::{Answer, exchange, request},
        postgres,
        program::{Serving, run, stderr, stdout},
        python,
    },
    live::until,
    reload::swap_link,
    transport::certificates::{self, Authority},
};

const MANIFESTS: [&str; 2] = ["kubernetes/migrate.yaml", "kubernetes/regate.yaml"];

/// All objects of the manifests, by kind.
fn objects() -> BTreeMap<String, Value> {
    const TO_JSON: &str = "import json, sys, yaml; \
        print(json.dumps([o for path in sys.argv[1:] for o in yaml.safe_load_all(open(path)) if o]))";
    let paths = MANIFESTS.map(|path| example(path).to_str().unwrap().to_owned());
    let output = python::run("python3", &["-c", TO_JSON, &paths[0], &paths[1]], &root());
    assert!(output.status.success(), "{}", stderr(&output));
    let objects: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let count = objects.len();
    let named: BTreeMap<String, Value> =
        objects.into_iter().map(|object| (object["kind"].as_str().unwrap().to_owned(), object)).collect();
    assert_eq!(named.len(), count, "one of each kind");
    named
}

#[test]
fn kubernetes_knows_every_field_of_the_manifests() {
    let paths = MANIFESTS.map(|path| example(path).to_str().unwrap().to_owned());
    let validate = |paths: &[&str]| {
        python::run("kubernetes-validate", &[&["-k", "1.37", "--strict"], paths].concat(), &root())
    };
    let output = validate(&[&paths[0], &paths[1]]);
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("passed for resource").count(), objects().len(), "{said}");

    // It can fail.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regate.yaml");
    fs::write(&path, read(&paths[1]).replace("readOnlyRootFilesystem", "readOnlyRootFileSystem")).unwrap();
    assert!(!validate(&[path.to_str().unwrap()]).status.success());
}

#[test]
fn pods_may_do_no_more_than_the_restricted_standard_allows_and_have_the_time_that_they_need() {
    let objects = objects();
    for kind in ["Deployment", "Job"] {
        let pod = &objects[kind]["spec"]["template"]["spec"];
        let security = &pod["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["seccompProfile"], json!({"type": "RuntimeDefault"}));
        assert_eq!(pod["automountServiceAccountToken"], false);
        let [container] = &pod["containers"].as_array().unwrap()[..] else { panic!("one container") };
        let expected = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
        assert_eq!(container["securityContext"], expected);
        assert!(
            container["resources"]["requests"].is_object() && container["resources"]["limits"].is_object()
        );
    }
    let deployment = &objects["Deployment"]["spec"];
    let pod = &deployment["template"]["spec"];
    let configuration = objects["ConfigMap"]["data"]["regate.toml"].as_str().unwrap();
    let drain = seconds(configuration, "drain_delay");
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > drain + LONGEST_END);
    let probe = &pod["containers"][0]["readinessProbe"];
    let number = |key: &str| probe[key].as_u64().unwrap();
    assert!(drain > number("periodSeconds") * number("failureThreshold") + number("timeoutSeconds"));

    // What selects these pods selects them, and no pod of the Job.
    let selected = &deployment["selector"]["matchLabels"];
    assert_eq!(&deployment["template"]["metadata"]["labels"], selected);
    assert_eq!(&objects["Service"]["spec"]["selector"], selected);
    assert_eq!(&objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], selected);
    for constraint in pod["topologySpreadConstraints"].as_array().unwrap() {
        assert_eq!(&constraint["labelSelector"]["matchLabels"], selected);
    }
    assert_ne!(&objects["Job"]["spec"]["template"]["metadata"]["labels"], selected);
    let names: Vec<&Value> =
        pod["containers"][0]["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
    for port in objects["Service"]["spec"]["ports"].as_array().unwrap() {
        assert!(names.contains(&&port["targetPort"]), "{port}");
    }
    for probe in ["livenessProbe", "readinessProbe"] {
        assert!(names.contains(&&pod["containers"][0][probe]["httpGet"]["port"]), "{probe}");
    }
    // A pod that holds more than its volume may is evicted.
    assert_eq!(pod["volumes"].as_array().unwrap().last().unwrap()["emptyDir"]["sizeLimit"], "1Gi");
    let line = configuration.lines().find_map(|line| line.trim().strip_prefix("max_spool_bytes = ")).unwrap();
    assert!(line.parse::<u64>().unwrap() < (1 << 30) * 9 / 10);
}

/// What the page has made by `kubectl`, from files of the project and of the operator.
struct Cluster {
    objects: BTreeMap<String, Value>,
    /// ConfigMaps and Secrets: their files by key.
    made: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    folder: TempDir,
}

impl Cluster {
    fn new(operators: &Path) -> Self {
        let objects = objects();
        let mut made = BTreeMap::new();
        let page = read(example("kubernetes/README.md"));
        for line in page.lines().filter(|line| line.starts_with("kubectl create ")) {
            let words: Vec<&str> = line.split(' ').skip(2).collect();
            let (name, flags) = match words[..] {
                ["configmap", name, ..] => (name, &words[2..]),
                ["secret", "generic" | "tls", name, ..] => (name, &words[3..]),
                _ => panic!("{line}"),
            };
            let files = flags.iter().flat_map(|flag| files(flag, operators)).collect();
            assert!(made.insert(name.to_owned(), files).is_none(), "{line}");
        }
        let data = objects["ConfigMap"]["data"].as_object().unwrap();
        let own = data.iter().map(|(key, text)| (key.clone(), text.as_str().unwrap().as_bytes().to_vec()));
        made.insert(objects["ConfigMap"]["metadata"]["name"].as_str().unwrap().to_owned(), own.collect());
        Self { objects, made, folder: tempfile::tempdir().unwrap() }
    }

    /// The files of a volume, by their paths within it.
    fn volume(&self, source: &Value) -> BTreeMap<String, Vec<u8>> {
        let sources = match source["projected"]["sources"].as_array() {
            Some(sources) => sources.iter().collect(),
            None => vec![source],
        };
        let mut files = BTreeMap::new();
        for source in sources {
            let name =
                source["configMap"]["name"].as_str().or(source["secret"]["secretName"].as_str()).unwrap();
            let of_map = self.made.get(name).unwrap_or_else(|| panic!("the page does not make {name}"));
            match source["configMap"]["items"].as_array() {
                None => files.extend(of_map.clone()),
                Some(items) => files.extend(items.iter().map(|item| {
                    let [key, path] = ["key", "path"].map(|member| item[member].as_str().unwrap().to_owned());
                    (path, of_map[&key].clone())
                })),
            }
        }
        files
    }

    /// A pod's container, with its volumes below a folder that takes the place of its root.
    fn pod(&self, kind: &str, name: &str) -> Pod {
        let pod = &self.objects[kind]["spec"]["template"]["spec"];
        let (container, root) = (&pod["containers"][0], self.folder.path().join(name));
        let mut mounted = Vec::new();
        for mount in container["volumeMounts"].as_array().unwrap() {
            let path = mount["mountPath"].as_str().unwrap();
            let at = root.join(path.trim_start_matches('/'));
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            mounted.push(path.to_owned());
            if volume["emptyDir"].is_object() {
                fs::create_dir_all(at).unwrap();
                continue;
            }
            let files = self.volume(volume);
            match mount["subPath"].as_str() {
                None => publish(&at, "1", &files, volume["secret"]["defaultMode"].as_u64()),
                Some(key) => {
                    fs::create_dir_all(at.parent().unwrap()).unwrap();
                    fs::write(at, &files[key]).unwrap();
                }
            }
        }
        mounted.sort_by_key(|path| std::cmp::Reverse(path.len()));
        let here = |text: &str| {
            let mut text = text.to_owned();
            for path in &mounted {
                // Told apart from what was replaced already by what stands before it.
                text = text.replace(&format!("\"{path}"), &format!("\"{}{path}", root.display()));
            }
            text
        };
        let bare = |value: &Value| here(&value.to_string()).trim_matches('"').to_owned();
        let environment = container["env"].as_array().into_iter().flatten();
        let variables = environment
            .map(|variable| format!("{}={}", variable["name"].as_str().unwrap(), bare(&variable["value"])));
        let pod = Pod {
            variables: variables.collect(),
            arguments: container["args"].as_array().unwrap().iter().map(bare).collect(),
            root: root.clone(),
        };
        let configuration = root.join("etc/regate/regate.toml");
        if configuration.exists() {
            // The test waits for no load balancer, and takes a free port.
            let text = here(&read(&configuration))
                .replace("drain_delay = \"15s\"", "drain_delay = \"0s\"")
                .replace("0.0.0.0:9464", "127.0.0.1:0");
            fs::write(configuration, text).unwrap();
        }
        pod
    }
}

/// The files that one flag of `kubectl create` names.
fn files(flag: &str, operators: &Path) -> Vec<(String, Vec<u8>)> {
    let named = |path: &str| {
        let own = operators.join(path);
        let path = if own.exists() { own } else { root().join(path) };
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    if let Some(certificate) = flag.strip_prefix("--cert=") {
        return vec![("tls.crt".to_owned(), named(certificate))];
    }
    if let Some(key) = flag.strip_prefix("--key=") {
        return vec![("tls.key".to_owned(), named(key))];
    }
    let from = flag.strip_prefix("--from-file=").unwrap_or_else(|| panic!("{flag}"));
    if let Some((key, path)) = from.split_once('=') {
        return vec![(key.to_owned(), named(path))];
    }
    // Of a folder kubectl takes the files, and passes over folders.
    let own = operators.join(from);
    let folder = if own.exists() { own } else { root().join(from) };
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// Puts files into a volume as the kubelet does, or in the place of those that it had, at once.
fn publish(volume: &Path, version: &str, files: &BTreeMap<String, Vec<u8>>, mode: Option<u64>) {
    let folder = volume.join(format!("..2026_{version}"));
    for (path, content) in files {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        let mode = u32::try_from(mode.unwrap_or(0o644)).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        let first = path.split('/').next().unwrap();
        let link = volume.join(first);
        if !link.is_symlink() {
            symlink(Path::new("..data").join(first), link).unwrap();
        }
    }
    swap_link(&volume.join("..data"), Path::new(&format!("..2026_{version}")));
}

struct Pod {
    variables: Vec<String>,
    arguments: Vec<String>,
    root: PathBuf,
}

impl Pod {
    /// Runs a command in the container, to its end.
    fn execute(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(crate::harness::program::REGATE);
        let variables = self.variables.iter().map(|variable| variable.split_once('=').unwrap());
        command.args(arguments).env_clear().envs(variables).current_dir(&self.root).output().unwrap()
    }

    fn serve(&self) -> Serving {
        let mut starter = vec!["/usr/bin/env", "-i"];
        starter.extend(self.variables.iter().map(String::as_str));
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let ["serve", rest @ ..] = &arguments[..] else { panic!("{arguments:?}") };
        Serving::start_under(&starter, &self.root, rest)
    }
}

fn ask(
    serving: &Serving,
    client: &Arc<ClientConfig>,
    method: &str,
    path: &str,
    body: &str,
    token: &str,
) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    let headers = if token.is_empty() { &[][..] } else { &headers[..] };
    let message = request("localhost", method, path, headers, body.as_bytes());
    exchange(certificates::open(&serving.address, client), &message)
}

/// The roles of `docs/security.md`, made by its statements; gives the URL of the one that serves.
fn lesser_role(owners_url: &str) -> String {
    let page = read(root().join("docs/security.md"));
    let statements = page.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    // Roles are the whole server's, which other tests use as well.
    let role = format!("regate_serve_of_{}", owners_url.rsplit('/').next().unwrap());
    let statements = statements.replace("regate_serve", &role);
    let output = postgres::psql(owners_url).args(["--command", &statements]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let (_, place) = owners_url.split_once('@').unwrap();
    format!("postgres://{role}@{place}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pods_serve_over_one_database_as_the_manifests_say() {
    let owners_url = postgres::new_database().await;
    tokio::task::spawn_blocking(move || two_pods(&owners_url)).await.unwrap();
}

fn two_pods(owners_url: &str) {
    let operators = tempfile::tempdir().unwrap();
    let authority = Authority::new("the cluster's");
    let certified = authority.certify();
    let client = authority.client(None);
    let put = |name: &str, text: &str| fs::write(operators.path().join(name), text).unwrap();
    write_policy_tests(&operators.path().join("policy-tests"));
    put("tls.crt", &certified.certificate);
    put("tls.key", &certified.key);
    put("owner-url", &format!("{owners_url}\n"));
    put("serve-url", &format!("{}\n", lesser_role(owners_url)));
    let new_key = run(operators.path(), &["credentials", "new-key", "--output", "keys"], "");
    assert!(new_key.status.success(), "{}", stderr(&new_key));

    let cluster = Cluster::new(operators.path());
    let job = cluster.pod("Job", "migrate");
    let arguments: Vec<&str> = job.arguments.iter().map(String::as_str).collect();
    let migrated = job.execute(&arguments);
    assert!(migrated.status.success(), "{}", stderr(&migrated));

    let pods = ["one", "two"].map(|name| cluster.pod("Deployment", name));
    let serving = [pods[0].serve(), pods[1].serve()];
    // The line of the page, in a pod.
    let page = read(example("kubernetes/README.md"));
    let line =
        page.lines().find_map(|line| line.strip_prefix("kubectl exec deployment/regate -- regate ")).unwrap();
    let line = line.replace("/etc/regate/", &format!("{}/etc/regate/", pods[0].root.display()));
    let minted = pods[0].execute(&line.split(' ').collect::<Vec<_>>());
    assert!(minted.status.success(), "{}", stderr(&minted));
    let token = stdout(&minted).trim().to_owned();

    let probes = &cluster.objects["Deployment"]["spec"]["template"]["spec"]["containers"][0];
    let question = r#"{"request": {"method": "GET", "path": "/api/v1/projects"}}"#;
    let revision = |serving: &Serving| {
        until(
            || ask(serving, &client, "POST", "/v1/decide", question, &token),
            // Another process hears of the new token a moment later.
            |answer| answer.status == 200,
        )
        .json()["policy_revision"]
            .clone()
    };
    let shipped = revision(&serving[0]);
    for serving in &serving {
        for probe in ["livenessProbe", "readinessProbe"] {
            let probe = &probes[probe]["httpGet"];
            assert_eq!(probe["scheme"], "HTTPS");
            let answer = ask(serving, &client, "GET", probe["path"].as_str().unwrap(), "", "");
            assert_eq!(answer.status, 200, "{probe}");
        }
        assert_eq!(ask(serving, &client, "POST", "/v1/decide", question, "").status, 401);
        assert_eq!(revision(serving), shipped);
        assert!(!serving.log().contains("\"level\":\"ERROR\""), "{}", serving.log());
    }
    for pod in &pods {
        assert!(pod.root.join("var/lib/regate/spool").is_dir());
        // The shipped rules, at the places where a folder has them.
        assert!(pod.root.join("etc/regate/policies/routes/data.json").is_file());
    }

    // A new version of a ConfigMap, as the kubelet brings it to one node and then to the other.
    let volume = &cluster.objects["Deployment"]["spec"]["template"]["spec"]["volumes"];
    let volume = volume.as_array().unwrap().iter().find(|volume| volume["name"] == "policies").unwrap();
    let mut files = cluster.volume(volume);
    files.get_mut("anonymous.rego").unwrap().extend(b"\n# a change\n");
    for (pod, serving) in pods.iter().zip(&serving) {
        assert_eq!(revision(serving), shipped);
        publish(&pod.root.join("etc/regate/policies"), "2", &files, None);
        until(|| revision(serving), |now| *now != shipped);
    }
    assert_eq!(revision(&serving[0]), revision(&serving[1]));
    for serving in serving {
        assert_eq!(serving.stop(), Some(0));
    }
}
