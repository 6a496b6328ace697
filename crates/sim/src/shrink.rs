//! A failing list of steps is cut down to one that is as short as it gets and still fails.

use std::future::Future;

use crate::step::Step;

/// Runs that one list is worth.
const RUNS: usize = 600;

/// The shortest list found for which `fails` holds: pieces are left out, halves first, then smaller ones.
pub async fn shrink<F, Fut>(mut steps: Vec<Step>, mut fails: F) -> Vec<Step>
where
    F: FnMut(Vec<Step>) -> Fut,
    Fut: Future<Output = bool>,
{
    let mut runs = 0;
    let mut piece = steps.len().div_ceil(2).max(1);
    while piece >= 1 && runs < RUNS {
        let mut at = 0;
        let mut shorter = false;
        while at < steps.len() && runs < RUNS {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + piece).min(steps.len()));
            runs += 1;
            if fails(fewer.clone()).await {
                steps = fewer;
                shorter = true;
            } else {
                at += piece;
            }
        }
        if piece == 1 && !shorter {
            break;
        }
        piece = if piece == 1 { 1 } else { piece / 2 };
    }
    steps
}
