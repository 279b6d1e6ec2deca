//! Gradient descent, `w⁺ = w − α g`.

use super::driver::Rule;
use super::dual::Number;
use super::hyper::{Range, Setting};
use super::update;
use crate::Error;
use crate::solve::GradientDescent;

struct Plain;

impl Rule<0, 1, 0> for Plain {
    fn derived<N: Number>(_: &[N; 1], _: i32) -> [N; 0] {
        []
    }

    #[inline(always)]
    fn apply<N: Number>(w: N, g: N, _: [N; 0], &[rate]: &[N; 1], _: &[N; 0]) -> (N, [N; 0]) {
        (w - rate * g, [])
    }
}

impl GradientDescent {
    fn all_settings(&self) -> Result<Vec<Setting>, Error> {
        let name = "GradientDescent::new";
        let hyper = self
            .learning_rate()
            .ok_or(Error::MissingSetting { setting: name, reason: "a step of gradient descent needs a learning rate" })?;
        Ok(vec![Setting { name, hyper, range: Range::Positive }])
    }
}

update!(GradientDescent, Plain, buffers: 0, hypers: 1, derived: 0);
