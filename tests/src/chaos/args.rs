//! What the command line says.

use super::DEPLOYMENTS;
use super::recipes::Recipe;
use crate::stores::Deployment;

pub(super) const HELP: &str = "\
Usage: cargo xtask chaos [--quick | --full] [OPTIONS]

  --quick               small numbers, at most 4 minutes (default)
  --full                the numbers of the goals, hours
  --seed S              the plan of strikes; printed, so that a run can be repeated
  --recipe R-1,R-2,...  only these; `soak` runs only when named, 20 s per strike
  --deployment NAMES    only these: embedded,postgres,distributed
  --jobs N              instead of the recipe's number
  --kills N             strikes, instead of the recipe's number
  --mutate NAME         switch a protection off: leases, fencing, sweep, unique; the run must fail
  --mutations           each of the four in turn, and see that it is noticed (embedded only, unless
                        --deployment says more)";

#[derive(Debug, Clone)]
pub(super) struct Args {
    pub(super) full: bool,
    pub(super) seed: u64,
    /// Empty: all.
    pub(super) recipes: Vec<String>,
    pub(super) deployments: Vec<Deployment>,
    pub(super) jobs: Option<usize>,
    pub(super) kills: Option<usize>,
    pub(super) mutate: Option<String>,
    pub(super) mutations: bool,
}

impl Args {
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let mut args = Self {
            full: false,
            seed: u64::from(rand::random::<u32>()),
            recipes: Vec::new(),
            deployments: Vec::new(),
            jobs: None,
            kills: None,
            mutate: None,
            mutations: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => args.full = false,
                "--full" => args.full = true,
                "--mutations" => args.mutations = true,
                "--seed" => args.seed = number(word, value()?)?,
                "--jobs" => args.jobs = Some(number(word, value()?)?),
                "--kills" => args.kills = Some(number(word, value()?)?),
                "--mutate" => args.mutate = Some(protection(value()?)?),
                "--recipe" => args.recipes = recipes(value()?)?,
                "--deployment" => args.deployments = deployments(value()?)?,
                other => return Err(format!("no such option: {other}")),
            }
        }
        if (args.mutations || args.mutate.is_some()) && !cfg!(feature = "mutations") {
            return Err("built without the feature `mutations`: use `cargo xtask chaos`".to_owned());
        }
        if args.deployments.is_empty() {
            let all = if args.mutations { &DEPLOYMENTS[..1] } else { &DEPLOYMENTS[..] };
            args.deployments = all.to_vec();
        }
        Ok(args)
    }

    pub(super) fn is_chosen(&self, recipe: Recipe) -> bool {
        let is_named = self.recipes.iter().any(|name| name == recipe.name());
        is_named || self.recipes.is_empty() && !recipe.is_long()
    }
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{option} {text}: a whole number is expected"))
}

fn protection(text: &str) -> Result<String, String> {
    let known = ["leases", "fencing", "sweep", "unique"];
    let text = text.to_owned();
    known.contains(&text.as_str()).then_some(text).ok_or(format!("--mutate knows {known:?}"))
}

fn recipes(text: &str) -> Result<Vec<String>, String> {
    let known: Vec<&str> = Recipe::ALL.iter().map(|recipe| recipe.name()).collect();
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!("no recipe {unknown}; there are {}", known.join(", "))),
        None => Ok(names),
    }
}

fn deployments(text: &str) -> Result<Vec<Deployment>, String> {
    let find = |name: &str| DEPLOYMENTS.into_iter().find(|known| known.name() == name.trim());
    let found = text.split(',').map(|name| find(name).ok_or(format!("no deployment {name}")));
    found.collect()
}
