//! `route show` and `route set`, with a router and without, and the panic button.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use drill::ports::TrafficSwitch as _;
use route::{EmbeddedSwitch, RouteConfig, Server};

use crate::world::{World, both, pair, soon};

#[tokio::test]
async fn without_a_router_the_share_is_read_and_set_in_the_file() {
    let world = World::new();
    let shown = route::show(&world.state_dir()).await.unwrap();
    assert_eq!((shown.running, shown.percent_new, shown.durable_percent_new), (false, 0, 0));
    assert!(!world.state_dir().exists(), "reading creates nothing");
    let shown = route::set(&world.state_dir(), 25).await.unwrap();
    assert_eq!((shown.running, shown.durable_percent_new), (false, 25));
    assert_eq!(route::show(&world.state_dir()).await.unwrap(), shown);
    assert!(route::set(&world.state_dir(), 101).await.is_err());
}

#[tokio::test]
async fn the_durable_share_survives_a_restart() {
    let world = World::new();
    let base = both(pair("new", "rollback").await);
    let server = Server::start(&world.config(), base).await.unwrap();
    assert_eq!(world.who(server.address()).await, "rollback");
    let shown = route::set(&world.state_dir(), 100).await.unwrap();
    assert_eq!((shown.running, shown.percent_new, shown.durable_percent_new), (true, 100, 100));
    assert_eq!(world.who(server.address()).await, "new");
    soon(server.shutdown(Duration::from_secs(1))).await;

    let server = Server::start(&world.config(), base).await.unwrap();
    assert_eq!(world.who(server.address()).await, "new");
}

#[tokio::test]
async fn during_a_hold_only_the_panic_button_works_and_it_works_at_once() {
    let world = World::new();
    let base = both(pair("base-new", "base-rollback").await);
    let server = Server::start(&world.config(), base).await.unwrap();
    route::set(&world.state_dir(), 50).await.unwrap();
    let (new, rollback) = pair("new", "rollback").await;
    let switch = EmbeddedSwitch::connect(world.config()).await.unwrap();
    switch.backends(new, rollback).await.unwrap();
    switch.shift(100).await.unwrap();

    let error = route::set(&world.state_dir(), 75).await.unwrap_err().to_string();
    assert!(error.starts_with("the route is held by a drill"), "{error}");
    assert_eq!(world.who(server.address()).await, "new");

    let shown = route::set(&world.state_dir(), 0).await.unwrap();
    assert_eq!((shown.percent_new, shown.durable_percent_new, shown.held_by), (0, 0, None));
    assert_eq!(world.who(server.address()).await, "base-rollback");
    let error = switch.shift(100).await.unwrap_err().to_string();
    assert_eq!(error, "the route was taken back by an operator");
    assert_eq!(switch.show().await.unwrap().percent_new, 0);
}

#[tokio::test]
async fn the_panic_button_works_on_a_drills_own_router_too() {
    let world = World::new();
    let (new, rollback) = pair("new", "rollback").await;
    let switch = EmbeddedSwitch::connect(world.config()).await.unwrap();
    switch.backends(new, rollback).await.unwrap();
    switch.shift(100).await.unwrap();
    route::set(&world.state_dir(), 0).await.unwrap();
    assert_eq!(world.who(switch.address()).await, "rollback");
    assert!(switch.shift(100).await.is_err());
}

#[tokio::test]
async fn the_panic_button_moves_traffic_even_when_the_share_cannot_be_written() {
    let world = World::new();
    let server = Server::start(&world.config(), both(pair("new", "rollback").await)).await.unwrap();
    route::set(&world.state_dir(), 100).await.unwrap();
    std::fs::write(world.state_dir().join("route.json"), "not ours").unwrap();

    let error = route::set(&world.state_dir(), 50).await.unwrap_err().to_string();
    assert!(error.starts_with("nothing was moved: "), "{error}");
    assert_eq!(server.show().percent_new, 100);
    let error = route::set(&world.state_dir(), 0).await.unwrap_err().to_string();
    assert!(error.starts_with("all traffic is on the rollback release now, but"), "{error}");
    assert_eq!(world.who(server.address()).await, "rollback");
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let world = World::new();
    std::fs::create_dir_all(world.state_dir()).unwrap();
    // Dropping the listener leaves the file, as a killed process does.
    drop(UnixListener::bind(world.state_dir().join("route.sock")).unwrap());
    let shown = route::show(&world.state_dir()).await.unwrap();
    assert!(!shown.running);
    let _server = Server::start(&world.config(), both(pair("n", "r").await)).await.unwrap();
    assert!(route::show(&world.state_dir()).await.unwrap().running);
}

#[tokio::test]
async fn a_long_path_works_like_a_short_one() {
    let world = World::new();
    let state_dir = world.state_dir().join("a".repeat(120));
    let config = RouteConfig { state_dir: state_dir.clone(), ..world.config() };
    let server = Server::start(&config, both(pair("new", "rollback").await)).await.unwrap();
    let switch = EmbeddedSwitch::connect(config).await.unwrap();
    assert_eq!(switch.address(), server.address());
    assert!(route::show(&state_dir).await.unwrap().running);
    drop(switch);
    soon(server.shutdown(Duration::from_secs(1))).await;
    assert!(!route::show(&state_dir).await.unwrap().running);
}

#[tokio::test]
async fn two_routers_on_one_state_are_refused() {
    let world = World::new();
    let base = both(pair("new", "rollback").await);
    let _first = Server::start(&world.config(), base).await.unwrap();
    let error = Server::start(&world.config(), base).await.unwrap_err().to_string();
    assert!(error.starts_with("a router runs already for "), "{error}");
}

#[tokio::test]
async fn a_router_does_not_start_on_a_state_that_it_cannot_read() {
    let world = World::new();
    std::fs::create_dir_all(world.state_dir()).unwrap();
    let newer = "{\"format\":9}";
    std::fs::write(world.state_dir().join("route.json"), newer).unwrap();
    let base = both(pair("new", "rollback").await);
    let error = Server::start(&world.config(), base).await.unwrap_err().to_string();
    assert!(error.ends_with("has format 9, this surestep knows 1"), "{error}");
}
