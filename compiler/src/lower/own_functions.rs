//! The crate's own functions: one line each in a table, and the lowering of those along rows and of the losses.

use super::Lowering;
use super::operators::Operand;
use super::text;
use super::value::{Value, describe_rank};
use crate::diagnostics::messages;
use crate::ir::{Elem, Elementwise, Index, Reduce, Shape, ValueId};

/// A function of this crate.
pub(super) struct OwnFunction {
    pub(super) name: &'static str,
    n_args: usize,
    lower: fn(&mut Lowering<'_>, &syn::Expr, &[&syn::Expr]) -> Option<ValueId>,
    /// What it lowers to.
    pub(super) words: &'static str,
}

const fn own(
    name: &'static str,
    n_args: usize,
    lower: fn(&mut Lowering<'_>, &syn::Expr, &[&syn::Expr]) -> Option<ValueId>,
    words: &'static str,
) -> OwnFunction {
    OwnFunction { name, n_args, lower, words }
}

/// All functions of this crate.
pub(super) const OWN: &[OwnFunction] = &[
    own("log_sum_exp", 1, |l, whole, args| l.log_sum_exp(whole, args), "`log_sum_exp` over the last axis"),
    own("softmax", 1, |l, whole, args| l.softmax(whole, args), "`exp(x - log_sum_exp(x))` over the last axis"),
    own("log_softmax", 1, |l, whole, args| l.log_softmax(whole, args), "`x - log_sum_exp(x)` over the last axis"),
    own(
        "layer_norm",
        4,
        |l, whole, args| l.layer_norm(whole, args),
        "mean zero and variance one along the last axis, times `gamma` plus `beta`",
    ),
    own(
        "batch_norm",
        4,
        |l, whole, args| l.batch_norm(whole, args),
        "mean zero and variance one over all axes but axis 1, times `gamma` plus `beta`",
    ),
    own("embedding", 2, |l, whole, args| l.embedding(whole, args), "`gather` of rows"),
    own("attention", 3, |l, whole, args| l.attention(whole, args, false), "`softmax(q kᵀ / √d) v`"),
    own("causal_attention", 3, |l, whole, args| l.attention(whole, args, true), "`attention` to positions up to the query's"),
    own("masked_attention", 4, |l, whole, args| l.masked_attention(whole, args), "`attention` to the positions where the mask is true"),
    own("one_hot", 2, |l, whole, args| l.one_hot(whole, args), "a comparison of positions, as ones and zeros"),
    own("conv2d", 4, |l, whole, args| l.conv2d(whole, args), "`unfold` of both axes of the padded images, `einsum` with the kernels"),
    own("dilated_conv2d", 5, |l, whole, args| l.conv2d(whole, args), "`conv2d` with distances in the windows"),
    own(
        "max_pool2d",
        2,
        |l, whole, args| l.pool2d(whole, args, true),
        "`unfold` of both axes, `reduce_max` over each window; ties share the derivative equally",
    ),
    own("avg_pool2d", 2, |l, whole, args| l.pool2d(whole, args, false), "`unfold` of both axes, the mean over each window"),
    own("cross_entropy", 2, |l, whole, args| l.cross_entropy(whole, args), "the mean over rows of `log_sum_exp(row) - row[label]`"),
    own("mse", 2, |l, whole, args| l.mse(whole, args), "the mean over all elements of the squared difference"),
    own("argmax", 1, |l, whole, args| l.arg_extreme(whole, args, true), "`arg_max`"),
    own("argmin", 1, |l, whole, args| l.arg_extreme(whole, args, false), "`arg_min`"),
    own("argmax_axis", 2, |l, whole, args| l.arg_extreme_axis(whole, args, true), "`arg_max` along the axis"),
    own("argmin_axis", 2, |l, whole, args| l.arg_extreme_axis(whole, args, false), "`arg_min` along the axis"),
    own("max_axis", 2, |l, whole, args| l.extreme_axis(whole, args, true), "`reduce_max` over the axis; ties share the derivative equally"),
    own(
        "min_axis",
        2,
        |l, whole, args| l.extreme_axis(whole, args, false),
        "`reduce_min` over the axis; ties share the derivative equally",
    ),
    own("cumsum", 2, |l, whole, args| l.cumulative_sum(whole, args), "a loop along the axis that carries the sum"),
    own("select", 3, |l, whole, args| l.select_elements(whole, args), "`select`"),
    own("gather", 3, |l, whole, args| l.gather(whole, args), "`gather`"),
    own("scatter_add", 4, |l, whole, args| l.scatter_add(whole, args), "`scatter_add`; what has the same position adds up"),
    own("outer", 2, |l, whole, args| l.outer_product(whole, args), "`einsum` without sums"),
    own("batched_dot", 2, |l, whole, args| l.batched_dot(whole, args), "`einsum` with the first axis shared"),
    own("norm", 1, |l, whole, args| l.norm(whole, args), "`sqrt` of the sum of squares; its derivative at zero is taken as zero"),
];

/// The function of this crate that has a name.
pub(super) fn find(name: &str) -> Option<&'static OwnFunction> {
    OWN.iter().find(|own| own.name == name)
}

impl Lowering<'_> {
    /// A call of a function of this crate.
    pub(super) fn call_own(&mut self, own: &OwnFunction, whole: &syn::Expr, args: &[&syn::Expr]) -> Value {
        if args.len() != own.n_args {
            for arg in args {
                self.expr(arg);
            }
            let takes = ["no arguments", "one argument", "two arguments", "three arguments", "four arguments", "five arguments"]
                .get(own.n_args)
                .copied()
                .unwrap_or("more arguments");
            return self.fail(whole, messages::ARGUMENT_COUNT, &[own.name, takes, &args.len().to_string()]);
        }
        Operand::wrap((own.lower)(self, whole, args), false)
    }

    /// An argument that must be an array.
    pub(super) fn array_argument(&mut self, e: &syn::Expr) -> Option<ValueId> {
        match self.expr(e) {
            Value::Tensor(v) if self.b.ty(v).rank() > 0 => Some(v),
            Value::Poison => None,
            other => {
                let found = self.describe(&other);
                self.error(e, messages::EXPECTED_KIND, &["an array as an argument of this function", &found, "pass an array"]);
                None
            }
        }
    }

    /// Two arguments that must be arrays; both are read, so that errors in either appear.
    pub(super) fn two_arrays(&mut self, args: &[&syn::Expr]) -> Option<(ValueId, ValueId)> {
        let (a, b) = (self.array_argument(args[0]), self.array_argument(args[1]));
        Some((a?, b?))
    }

    /// `ln(sum(exp(x)))` over the last axis.
    fn log_sum_exp(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let x = self.array_argument(args[0])?;
        let axis = self.b.ty(x).rank() - 1;
        self.emit(whole, Reduce::LogSumExp { axes: vec![axis] }, &[x])
    }

    /// `exp(x - log_sum_exp(x))` over the last axis.
    fn softmax(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let x = self.array_argument(args[0])?;
        let ty = self.b.ty(x).clone();
        let axes: Vec<usize> = (0..ty.rank() - 1).collect();
        let normalizer = self.part(whole, Reduce::LogSumExp { axes: vec![ty.rank() - 1] }, &[x])?;
        let normalizer = self.part(whole, Shape::Broadcast { axes, dims: ty.dims }, &[normalizer])?;
        let shifted = self.part(whole, Elementwise::Sub, &[x, normalizer])?;
        self.emit(whole, Elementwise::Exp, &[shifted])
    }

    /// The mean over rows of `log_sum_exp(row) - row[label]`.
    fn cross_entropy(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let (logits, labels) = self.two_arrays(args)?;
        let (x, y) = (self.b.ty(logits).clone(), self.b.ty(labels).clone());
        if (x.rank(), y.rank()) != (2, 1) {
            let (m, n) = (describe_rank(x.rank()), describe_rank(y.rank()));
            let help = "the logits are a matrix with one row per sample, the labels a vector";
            self.error(whole, messages::RANK_MISMATCH, &[&text(args[0]), &m, &text(args[1]), &n, &text(whole), help]);
            return None;
        }
        if y.elem != Elem::Usize || !x.elem.is_float() {
            let (at, v, expected, help) = if y.elem != Elem::Usize {
                (args[1], labels, "labels of type `usize`", "convert them outside: `labels.mapv(|l| l as usize)`")
            } else {
                (args[0], logits, "logits that are floats", "pass the scores before `softmax`")
            };
            let found = self.describe(&Value::Tensor(v));
            self.error(at, messages::EXPECTED_KIND, &[expected, &found, help]);
            return None;
        }
        if !self.unify(x.dims[0], y.dims[0], whole, args[0], args[1]) {
            return None;
        }
        let normalizer = self.part(whole, Reduce::LogSumExp { axes: vec![1] }, &[logits])?;
        let picked = self.part(whole, Index::TakeAlong { axis: 1 }, &[logits, labels])?;
        let losses = self.part(whole, Elementwise::Sub, &[normalizer, picked])?;
        self.mean_value(whole, losses, vec![0])
    }

    /// The mean over all elements of the squared difference.
    fn mse(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let (a, b) = self.two_arrays(args)?;
        let (x, y) = (self.b.ty(a).clone(), self.b.ty(b).clone());
        if x.rank() != y.rank() {
            let (m, n) = (describe_rank(x.rank()), describe_rank(y.rank()));
            let help = "both must have one shape";
            self.error(whole, messages::RANK_MISMATCH, &[&text(args[0]), &m, &text(args[1]), &n, &text(whole), help]);
            return None;
        }
        if x.elem != y.elem || !x.elem.is_float() {
            self.error(whole, messages::ELEMENT_MISMATCH, &[&text(args[0]), x.elem.name(), &text(args[1]), y.elem.name()]);
            return None;
        }
        for (&m, &n) in x.dims.iter().zip(&y.dims) {
            if !self.unify(m, n, whole, args[0], args[1]) {
                return None;
            }
        }
        let difference = self.part(whole, Elementwise::Sub, &[a, b])?;
        let square = self.part(whole, Elementwise::Mul, &[difference, difference])?;
        self.mean_value(whole, square, (0..x.rank()).collect())
    }
}
