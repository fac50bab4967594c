//! [`Control`] over the record.

use super::{COLLISIONS, Record, act, retry_collisions};
use crate::Error;
use crate::control::{
    Act, Acted, Action, Actor, Control, LogLine, Pause, PauseScope, Why, WorkerRow,
};
use crate::job::{Attempt, Filter, Found, JobRow, Listed, Page, QueueStats};
use async_trait::async_trait;
use std::collections::HashMap;
use uuid::Uuid;

#[async_trait]
impl Control for Record {
    async fn get(&self, id: Uuid) -> Result<Option<JobRow>, Error> {
        self.row(id).await
    }

    async fn attributes(&self, id: Uuid) -> Result<Vec<(String, String)>, Error> {
        self.attributes_of(id).await
    }

    async fn attempts(&self, id: Uuid) -> Result<Vec<Attempt>, Error> {
        self.failed_attempts(id).await
    }

    async fn logs(
        &self,
        id: Uuid,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<LogLine>, Error> {
        self.log_lines(id, after, limit).await
    }

    async fn actions(&self, id: Uuid) -> Result<Vec<Action>, Error> {
        self.actions_on(id).await
    }

    async fn list(&self, filter: &Filter, page: &Page) -> Result<Listed, Error> {
        self.page(filter, page).await
    }

    async fn find(&self, filter: &Filter, page: &Page) -> Result<Found, Error> {
        self.page_of_ids(filter, page).await
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, Error> {
        self.figures().await
    }

    async fn act(&self, ids: &[Uuid], act: Act, by: &Actor) -> Result<Vec<Acted>, Error> {
        let mut acted = Vec::with_capacity(ids.len());
        for step in ids.chunks(act::STEP) {
            let mut answers = HashMap::new();
            // A job that went on while its locks were taken is looked at again.
            for _ in 0..3 {
                let open = step.iter().copied().filter(|id| !answers.contains_key(id));
                let open: Vec<Uuid> = open.collect();
                if open.is_empty() {
                    break;
                }
                answers.extend(retry_collisions!(self.act_step(&open, act, by))?);
            }
            acted.extend(step.iter().map(|id| answers.get(id).cloned().unwrap_or(Acted::NotFound)));
        }
        Ok(acted)
    }

    async fn pause(&self, pause: &Pause) -> Result<(), Error> {
        self.stop_claims(pause).await
    }

    async fn resume(&self, scope: PauseScope, name: &str) -> Result<bool, Error> {
        self.allow_claims(scope, name).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, Error> {
        self.pauses_in_force().await
    }

    async fn workers(&self) -> Result<Vec<WorkerRow>, Error> {
        self.crew().await
    }

    async fn why(&self, id: Uuid) -> Result<Option<Why>, Error> {
        match self.row(id).await? {
            Some(row) => Ok(Some(self.reasons(row).await?)),
            None => Ok(None),
        }
    }
}
