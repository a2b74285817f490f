//! A child process commits and says what was acknowledged; it is killed, or its disk fills up; what
//! it was told to be durable must be there.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use super::*;

const DIRECTORY: &str = "SYMBOLON_TEST_STORE";
const WORKERS: u64 = 8;

/// The child's part; does nothing when run with the other tests.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = SledStore::open(&small(directory.as_ref()), clock()).unwrap();
    let store = Arc::new(store);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let begun = read_all(&*store, Span::all(Namespace::LeaseState)).await.unwrap().len();
        let begun = u64::try_from(begun).unwrap() * WORKERS;
        let mut tasks = JoinSet::new();
        for worker in 0..WORKERS {
            let store = Arc::clone(&store);
            tasks.spawn(async move { commit_for_ever(&store, begun + worker).await });
        }
        tasks.join_all().await;
    });
    println!("failed closed: {:?}", store.health());
}

/// Each transaction writes two records: a crash must leave both or neither.
async fn commit_for_ever(store: &SledStore, first: u64) {
    for number in (first..).step_by(usize::try_from(WORKERS).unwrap()) {
        let [one, two] = keys(number);
        let value = vec![b'v'; usize::try_from(number % 2000).unwrap()];
        let write = Transaction::new()
            .expect_absent(one.clone())
            .put(one, value)
            .put(two, number.to_be_bytes().to_vec());
        match store.commit(write).await {
            Ok(()) => println!("acknowledged {number}"),
            Err(StoreError::Conflict(_)) => {}
            Err(_) => return,
        }
    }
}

fn keys(number: u64) -> [Key; 2] {
    [Namespace::LeaseState.key(number.to_be_bytes()), Namespace::LeaseDue.key(number.to_be_bytes())]
}

fn spawn(directory: &TempDir, wrapper: &[&str]) -> Child {
    let test = std::env::current_exe().unwrap();
    let mut line = wrapper.iter().map(std::ffi::OsString::from).collect::<Vec<_>>();
    line.push(test.into());
    line.extend(["--exact", "store::tests::crash::child", "--nocapture"].map(Into::into));
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).env(DIRECTORY, directory.path());
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn acknowledged(line: &str) -> Option<u64> {
    line.split_once("acknowledged ")?.1.trim().parse().ok()
}

/// Reads what the child acknowledges and kills it after `limit` of them.
fn kill_after(mut child: Child, limit: usize) -> Vec<u64> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut numbers = Vec::new();
    for line in lines.map_while(Result::ok) {
        numbers.extend(acknowledged(&line));
        if numbers.len() == limit {
            child.kill().unwrap();
        }
    }
    assert_eq!(child.wait().unwrap().signal(), Some(9), "the child ended by itself");
    numbers
}

async fn assert_all_there(directory: &TempDir, numbers: &[u64]) {
    let store = open(directory);
    for number in numbers {
        for key in keys(*number) {
            assert!(
                store.get(&key).await.unwrap().is_some(),
                "{number} was acknowledged and is lost"
            );
        }
    }
    let state = read_all(&store, Span::all(Namespace::LeaseState)).await.unwrap();
    let due = read_all(&store, Span::all(Namespace::LeaseDue)).await.unwrap();
    let tails = |found: Vec<(Key, Vec<u8>)>| {
        found.into_iter().map(|(key, _)| key.tail().to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(tails(state), tails(due), "a transaction was torn");
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let directory = TempDir::new().unwrap();
    let mut numbers = Vec::new();
    for _ in 0..6 {
        let mut random = [0; 1];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        let limit = 1 + 4 * usize::from(random[0]);
        numbers.extend(kill_after(spawn(&directory, &[]), limit));
        assert_all_there(&directory, &numbers).await;
    }
}

/// `ulimit -f` stands in for a full disk: writes beyond it fail with EFBIG, as they would with
/// ENOSPC.
#[tokio::test]
async fn a_full_disk_fails_closed_and_loses_nothing_that_was_acknowledged() {
    let directory = TempDir::new().unwrap();
    // 512-byte blocks: 6 MiB, three segments.
    let shell = "trap '' XFSZ; ulimit -f 12288; exec \"$@\"";
    let mut child = spawn(&directory, &["/bin/sh", "-c", shell, "sh"]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines = lines.map_while(Result::ok).collect::<Vec<_>>();
    child.wait().unwrap();
    let numbers = lines.iter().filter_map(|line| acknowledged(line)).collect::<Vec<_>>();
    assert!(numbers.len() > 10, "{} commits before the disk was full", numbers.len());
    assert!(
        lines.iter().any(|line| line.contains("failed closed: Err(Poisoned")),
        "{:?}",
        lines.last()
    );
    assert_all_there(&directory, &numbers).await;
}
