//! A drill holds the route, and the route comes back by itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command};

use drill::ports::{PortError, TrafficSwitch as _};
use route::{EmbeddedSwitch, RouteConfig, Server};

use crate::world::{World, both, pair, soon, until};

/// Where a child of this test binary holds the route: `STATE_DIR|NEW|ROLLBACK`.
const CHILD: &str = "SURESTEP_TEST_ROUTE_HOLDER";

#[track_caller]
fn advice_of(error: &PortError) -> &str {
    match error {
        PortError::Environment { advice, .. } => advice,
        PortError::Release { .. } => panic!("the route does not know releases: {error}"),
    }
}

#[tokio::test]
async fn a_drills_own_router_serves_what_it_holds_and_leaves_nothing() {
    let world = World::new();
    let switch = EmbeddedSwitch::connect(world.config()).await.unwrap();
    let address = switch.address();
    assert_eq!(world.who(address).await, "backend_missing:rollback");

    let (new, rollback) = pair("new", "rollback").await;
    switch.backends(new, rollback).await.unwrap();
    assert_eq!(switch.show().await.unwrap().percent_new, 0);
    assert_eq!(world.who(address).await, "rollback");
    switch.shift(5).await.unwrap();
    assert_eq!(switch.show().await.unwrap().percent_new, 5);
    assert_eq!(world.who(address).await, "new");
    assert_eq!(world.who(address).await, "rollback");
    // The same share again does not start the count again.
    switch.shift(5).await.unwrap();
    assert_eq!(world.who(address).await, "rollback");

    let shown = route::show(&world.state_dir()).await.unwrap();
    assert!(shown.running);
    assert_eq!(shown.held_by, Some(std::process::id()));
    assert_eq!((shown.percent_new, shown.durable_percent_new), (5, 0));
    assert_eq!(shown.listen, Some(address));
    assert_eq!((shown.served_by.new, shown.served_by.rollback), (1, 2));

    switch.close().await;
    assert!(!route::show(&world.state_dir()).await.unwrap().running);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(!world.state_dir().join("route.json").exists());
}

#[tokio::test]
async fn a_router_that_was_just_dropped_can_be_followed_by_another_one() {
    let world = World::new();
    let mut config = world.config();
    for _ in 0..5 {
        let switch = EmbeddedSwitch::connect(config.clone()).await.unwrap();
        config.listen = switch.address();
        drop(switch);
    }
}

#[tokio::test]
async fn the_route_comes_back_when_the_holders_connection_ends() {
    let world = World::new();
    let base = both(pair("base-new", "base-rollback").await);
    let server = Server::start(&world.config(), base).await.unwrap();
    route::set(&world.state_dir(), 100).await.unwrap();
    let (new, rollback) = pair("new", "rollback").await;

    let switch = EmbeddedSwitch::connect(world.config()).await.unwrap();
    switch.backends(new, rollback).await.unwrap();
    assert_eq!(world.who(server.address()).await, "rollback");
    switch.shift(5).await.unwrap();
    assert_eq!(world.who(server.address()).await, "new");
    drop(switch);
    until("the durable share is back", async || server.show().percent_new == 100).await;
    assert_eq!(server.show().backends, base);
    assert_eq!(server.show().held_by, None);
    assert_eq!(world.who(server.address()).await, "base-new");
}

#[tokio::test]
async fn a_second_holder_is_refused_with_the_first_ones_process() {
    let world = World::new();
    let _server = Server::start(&world.config(), both(pair("n", "r").await)).await.unwrap();
    let (new, rollback) = pair("new", "rollback").await;
    let first = EmbeddedSwitch::connect(world.config()).await.unwrap();
    first.backends(new, rollback).await.unwrap();
    let second = EmbeddedSwitch::connect(world.config()).await.unwrap();
    let error = second.backends(new, rollback).await.unwrap_err();
    let expected = format!("the route is held by a drill (process {})", std::process::id());
    assert_eq!(error.to_string(), expected);
    assert!(advice_of(&error).contains("route set rollback"));
    // The second one leaving changes nothing for the first.
    drop(second);
    first.shift(5).await.unwrap();
}

#[tokio::test]
async fn a_shift_without_backends_is_refused() {
    let world = World::new();
    let switch = EmbeddedSwitch::connect(world.config()).await.unwrap();
    let error = switch.shift(5).await.unwrap_err();
    assert!(error.to_string().starts_with("the route is not held by this process"), "{error}");
    assert!(switch.shift(101).await.is_err());
}

#[tokio::test]
async fn a_killed_holder_leaves_the_route_on_rollback() {
    let world = World::new();
    let base = both(pair("base-new", "base-rollback").await);
    let server = Server::start(&world.config(), base).await.unwrap();
    let (new, rollback) = pair("new", "rollback").await;

    let mut child = holder(&world, new, rollback);
    until("the child has shifted", async || server.show().percent_new == 100).await;
    assert_eq!(server.show().held_by, Some(child.id()));
    assert_eq!(world.who(server.address()).await, "new");
    child.kill().unwrap();
    child.wait().unwrap();
    until("the rollback release serves", async || server.show().percent_new == 0).await;
    assert_eq!(world.who(server.address()).await, "base-rollback");
}

#[tokio::test]
async fn a_killed_router_leaves_no_trace_that_stops_the_next_one() {
    let world = World::new();
    let (new, rollback) = pair("new", "rollback").await;
    // With no router running the child starts one of its own.
    let mut child = holder(&world, new, rollback);
    until("the child has shifted", async || {
        route::show(&world.state_dir()).await.is_ok_and(|shown| shown.percent_new == 100)
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(world.state_dir().join("route.sock").exists(), "a killed process cannot clean up");
    let shown = route::show(&world.state_dir()).await.unwrap();
    assert_eq!((shown.running, shown.percent_new), (false, 0));
    let switch = EmbeddedSwitch::connect(world.config()).await.unwrap();
    switch.backends(new, rollback).await.unwrap();
    assert_eq!(world.who(switch.address()).await, "rollback");
}

/// Starts this test binary again, as a drill that holds the route with all traffic on `new`.
fn holder(world: &World, new: SocketAddr, rollback: SocketAddr) -> Child {
    let state_dir = world.state_dir();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holding::as_a_child_holds_the_route_until_killed"])
        .env(CHILD, format!("{}|{new}|{rollback}", state_dir.display()))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test by itself: what [`holder`] runs in a process of its own.
#[tokio::test]
async fn as_a_child_holds_the_route_until_killed() {
    let Some(order) = std::env::var_os(CHILD) else { return };
    let order = order.into_string().unwrap();
    let [state_dir, new, rollback] = order.split('|').collect::<Vec<_>>().try_into().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = RouteConfig { listen, state_dir: PathBuf::from(state_dir) };
    let switch = EmbeddedSwitch::connect(config).await.unwrap();
    switch.backends(new.parse().unwrap(), rollback.parse().unwrap()).await.unwrap();
    switch.shift(100).await.unwrap();
    // Bounded, so that a child whose parent died does not stay.
    soon(std::future::pending::<()>()).await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_advice() {
    let world = World::new();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let config = RouteConfig { listen, ..world.config() };
    let error = soon(EmbeddedSwitch::connect(config)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the route cannot listen on {listen}, which is route.listen")
    );
    assert!(advice_of(&error).contains("change route.listen"));
}

#[tokio::test]
async fn a_router_on_another_address_than_configured_is_not_used() {
    let world = World::new();
    let server = Server::start(&world.config(), both(pair("n", "r").await)).await.unwrap();
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = RouteConfig { listen: free, ..world.config() };
    let error = soon(EmbeddedSwitch::connect(config)).await.unwrap_err().to_string();
    let address = server.address();
    assert_eq!(error, format!("a router runs on {address}, but route.listen is {free}"));
}
