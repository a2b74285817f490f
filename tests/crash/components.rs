//! A change of components cut off at each of its steps: after a restart the backend runs the component
//! that it ran before, or the new one whole; what is left over is named, and the change can be made
//! again.

use serde_json::Value;
use symbolon::kill::Point;
use symbolon_tests::harness::component::{built, versioned, write};
use symbolon_tests::harness::process::{Home, Running};

use super::leases::{Scenario, scenario, wait};

const OLD: &str = "0.1.0";
const NEW: &str = "0.1.1";

async fn run(home: &Home, arguments: &[&str]) -> Value {
    let done = home.command(arguments).await;
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap_or_default()
}

async fn shown(home: &Home) -> Value {
    run(home, &["plugin", "ls", "--output", "json"]).await
}

async fn version(home: &Home) -> String {
    let shown = shown(home).await;
    let backends = shown["backends"].as_array().unwrap();
    let demo = backends.iter().find(|backend| backend["backend"] == "demo").unwrap();
    demo["version"].as_str().unwrap_or_else(|| panic!("{demo}")).to_owned()
}

/// The components of version [`NEW`], or without a name.
async fn left_over(home: &Home) -> Vec<Value> {
    let shown = shown(home).await;
    let all = shown["components"].as_array().unwrap().iter();
    let is_it = |part: &&Value| part["version"] == NEW || part["state"] == "stray";
    all.filter(is_it).cloned().collect()
}

/// The commands that lead to the point, the last one through it.
fn steps(point: Point, file: &str) -> Vec<Vec<&str>> {
    let install = vec!["plugin", "install", file];
    let activate = vec!["plugin", "activate", "demo", "static@0.1.1"];
    let remove = vec!["plugin", "remove", "static@0.1.1"];
    match point {
        Point::AfterPointed | Point::AfterSwapped => vec![install, activate],
        Point::AfterUnlisted => vec![install, remove],
        _ => vec![install],
    }
}

async fn reads(home: &Home, running: &Running, what: &str) {
    let read = running.read(&home.token(), "demo/app/text").await.unwrap();
    assert_eq!((read.0, read.2.as_str()), (200, "plain"), "{what}\n{}", running.log());
}

async fn killed_at(point: Point) {
    let what = point.as_str();
    let home = Home::new("").cached();
    let file = write(home.path(), "new.wasm", &versioned(built("static"), NEW));
    let file = file.display().to_string();
    // What is in use is taken along once, which is not what is killed here.
    let running = home.start().await;
    let is_kept = |part: &Value| part["name"] == "static" && part["signed_by"].is_array();
    wait("it is kept", async || {
        shown(&home).await["components"].as_array().unwrap().iter().any(is_kept)
    })
    .await;
    running.stop().await;

    let mut running = home.spawn_with(&[("SYMBOLON_KILL_AT", what)]);
    running.ready().await;
    let steps = steps(point, &file);
    let (last, before) = steps.split_last().unwrap();
    for step in before {
        run(&home, step).await;
    }
    let cut = home.command(last).await;
    assert!(!cut.status.success(), "{what}: it answered");
    assert!(!running.ended().await.success(), "{what} was not reached");

    let running = home.start().await;
    reads(&home, &running, what).await;
    let is_pointed = matches!(point, Point::AfterPointed | Point::AfterSwapped);
    assert_eq!(version(&home).await, if is_pointed { NEW } else { OLD }, "{what}");
    let left = left_over(&home).await;
    match point {
        Point::AfterShelved | Point::AfterUnlisted => {
            assert_eq!(left.len(), 1, "{what}: {left:?}");
            assert_eq!(left[0]["state"], "stray", "{what}: {left:?}");
        }
        _ => assert_eq!(left[0]["version"], NEW, "{what}: {left:?}"),
    }
    // The whole change once more, and back.
    run(&home, &["plugin", "install", &file]).await;
    run(&home, &["plugin", "activate", "demo", "static@0.1.1"]).await;
    reads(&home, &running, what).await;
    assert_eq!(version(&home).await, NEW, "{what}");
    run(&home, &["plugin", "activate", "demo", "static@0.1.0", "--allow-downgrade"]).await;
    run(&home, &["plugin", "remove", "static@0.1.1"]).await;
    assert!(left_over(&home).await.is_empty(), "{what}");
    reads(&home, &running, what).await;
    running.stop().await;
    let running = home.start().await;
    reads(&home, &running, what).await;
    assert_eq!(version(&home).await, OLD, "{what}");
    running.stop().await;
}

#[tokio::test]
async fn killed_at_any_step_of_a_change_of_components_the_backend_serves() {
    let of_components = |point: &Point| matches!(scenario(*point), Scenario::Component);
    for point in Point::ALL.into_iter().filter(of_components) {
        killed_at(point).await;
    }
}
