//! The program's processes: they start on every deployment, stop when asked and die when killed.

use std::time::Duration;
use tests::app::TestApp;
use tests::stores::Deployment;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_run_as_processes_on_every_deployment() {
    for deployment in Deployment::chosen() {
        let mut app = TestApp::on(deployment.fresh().await, &[]);
        app.start_api().await;
        app.start_worker();
        let second = app.start_api().await;
        app.start_scheduler();
        for number in [0, second] {
            let answer = app.http().get(app.url(number, "/livez")).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{deployment:?}");
        }
        app.apis[second].kill9();
        assert!(app.http().get(app.url(second, "/livez")).send().await.is_err());
        app.restart_api(second).await;
        let roles = [&mut app.apis[0], &mut app.workers[0], &mut app.schedulers[0]];
        for process in roles {
            process.terminate();
            let status = process.wait(PATIENCE).await;
            assert!(status.is_some_and(|status| status.success()), "{}", process.log());
        }
    }
}
