//! Which values get memory, and which are only expressions inside of a loop.
//!
//! Kernels write to memory; element-wise operations and views (broadcasts, permutations, reshapes) are computed where they are read, unless
//! something needs them in memory or several loops would compute them anew:
//!
//! 1. Uses are collected, and every value learns, consumers first, in which loops it would be computed.
//! 2. An element-wise value stays an expression if it is needed in one loop only, once per element, or if it is [cheap](Planner::is_cheap): an array that is written
//!    once and read in several loops costs more than a few operations on one that is read anyway.
//! 3. A loop that would read too many arrays has its largest operand put into memory.
//!
//! Windows on an array are read where they stand, also by products that take their operands at any strides, and such a product whose result is only
//! folded, window by window, is computed straight into the array of the sums ([`Plan::folded_product`]).

use std::collections::{HashMap, HashSet};

use super::access::is_plain_reshape;
use super::einsum::{Way, way};
use super::index::Part;
use crate::ir::{Body, Control, Dim, Elementwise, Func, Index, Op, Reduce, Shape, Stmt, ValueId};

/// The most operands of one loop; the kernels take tuples up to this length.
const MAX_OPERANDS: usize = 12;
/// The largest cost of an expression that is rather computed again than kept: about what one more array costs that is written, and read from outside of the first
/// cache.
const CHEAP: u32 = 6;
/// The same for a value that is read through a view, maybe many times in one loop, or in another order.
const CHEAP_IN_VIEWS: u32 = 2;

/// How the values of a function are computed.
#[derive(Debug)]
pub(super) struct Plan<'f> {
    /// The statement that defines each value; none for parameters.
    pub(super) definition: Vec<Option<&'f Stmt>>,
    /// Whether an array value stands in memory. Parameters do.
    pub(super) in_memory: Vec<bool>,
    /// How often each value is used, results of bodies included.
    pub(super) n_uses: Vec<usize>,
    /// For scalars: whether the value is written as an expression where it is used.
    pub(super) inlined: Vec<bool>,
    /// Whether an array is a product, or its windows added up in part, that is computed where the rest of the windows is.
    folded: Vec<bool>,
}

impl<'f> Plan<'f> {
    /// The product that a `fold` adds up straight into its result, and what is folded on the way, the last first.
    pub(super) fn folded_product(&self, fold: &'f Stmt) -> Option<(&'f Stmt, Vec<&'f Stmt>)> {
        let mut folds = vec![fold];
        loop {
            let operand = folds.last().expect("one at least").args[0];
            if !self.folded[operand.0 as usize] {
                return None;
            }
            let stmt = self.definition[operand.0 as usize].expect("only results of statements are folded");
            match stmt.op {
                Op::Einsum(_) => return Some((stmt, folds)),
                _ => folds.push(stmt),
            }
        }
    }
}

/// Plans a function.
pub(super) fn plan(func: &Func) -> Plan<'_> {
    let n = func.types.len();
    let mut planner = Planner {
        func,
        plan: Plan {
            definition: vec![None; n],
            in_memory: vec![false; n],
            n_uses: vec![0; n],
            inlined: vec![false; n],
            folded: vec![false; n],
        },
        home: vec![0; n],
        uses: vec![Vec::new(); n],
        again: vec![Again::default(); n],
        n_bodies: 0,
        order: Vec::new(),
    };
    planner.define(&func.body);
    planner.find_folded(&func.body);
    planner.n_bodies = 0;
    planner.collect(&func.body);
    planner.find_costs();
    planner.decide();
    planner.limit_operands();
    planner.inline_scalars();
    planner.plan
}

/// How a value is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    /// Its elements must stand in memory.
    Memory,
    /// Its elements are read in memory, at any strides.
    Strided,
    /// It is an element-wise operand of the statement that gives this value, or a view of it is.
    Elementwise(ValueId),
    /// It is reduced by the statement that gives this value.
    Reduced(ValueId),
    /// It is a number.
    Scalar(ValueId),
}

struct Planner<'f> {
    func: &'f Func,
    plan: Plan<'f>,
    /// The body in which each value is defined.
    home: Vec<usize>,
    /// For each value its uses, with the body in which they are.
    uses: Vec<Vec<(Use, usize)>>,
    /// For each value what computing it again takes.
    again: Vec<Again>,
    n_bodies: usize,
    /// All values that statements define, definitions first.
    order: Vec<ValueId>,
}

/// What computing an element of a value takes, from arrays that stand in memory.
#[derive(Clone, Default, Debug)]
struct Again {
    cost: u32,
    /// The arrays that are read.
    arrays: HashSet<ValueId>,
}

/// What the uses of a value ask for.
#[derive(Clone, Default, Debug)]
struct Demand {
    memory: bool,
    /// Used in a nested body, perhaps many times.
    captured: bool,
    /// Needed more than once per element.
    repeated: bool,
    /// Read along with other axes than its own, through a view.
    viewed: bool,
    /// The results of the loops that would compute it.
    roots: HashSet<ValueId>,
}

impl<'f> Planner<'f> {
    fn define(&mut self, body: &'f Body) {
        let home = self.n_bodies;
        self.n_bodies += 1;
        for &param in &body.params {
            self.home[param.0 as usize] = home;
        }
        for stmt in &body.stmts {
            for nested in &stmt.bodies {
                self.define(nested);
            }
            for &out in &stmt.outs {
                self.home[out.0 as usize] = home;
                self.plan.definition[out.0 as usize] = Some(stmt);
                self.order.push(out);
            }
        }
    }

    fn collect(&mut self, body: &'f Body) {
        let here = self.n_bodies;
        self.n_bodies += 1;
        for stmt in &body.stmts {
            for nested in &stmt.bodies {
                self.collect(nested);
            }
            for (value, kind) in self.uses_of(stmt) {
                self.note_use(value, kind, here);
            }
        }
        for &result in &body.results {
            self.note_use(result, Use::Memory, here);
        }
    }

    fn note_use(&mut self, value: ValueId, kind: Use, here: usize) {
        let kind = match kind {
            Use::Memory | Use::Strided | Use::Scalar(_) => kind,
            Use::Elementwise(out) | Use::Reduced(out) => {
                if self.func.ty(value).rank() == 0 {
                    Use::Scalar(out)
                } else {
                    kind
                }
            }
        };
        self.uses[value.0 as usize].push((kind, here));
        self.plan.n_uses[value.0 as usize] += 1;
    }

    fn uses_of(&self, stmt: &Stmt) -> Vec<(ValueId, Use)> {
        let all = |kind: Use| stmt.args.iter().map(|&a| (a, kind)).collect();
        match &stmt.op {
            Op::Const(..) | Op::Shape(Shape::Iota { .. } | Shape::DimSize { .. }) => Vec::new(),
            // A number is read out of the one element in memory.
            Op::Shape(Shape::Reshape { dims }) if dims.is_empty() || !is_plain_reshape(self.func.ty(stmt.args[0]), dims) => {
                all(Use::Memory)
            }
            Op::Shape(Shape::Concat { .. }) => all(Use::Memory),
            Op::Shape(Shape::Unfold { .. }) => all(self.in_strides(stmt.args[0])),
            Op::Shape(Shape::Fold { .. }) => all(if self.plan.folded[stmt.args[0].0 as usize] { Use::Strided } else { Use::Memory }),
            Op::Elementwise(_) | Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. }) => {
                all(Use::Elementwise(stmt.outs[0]))
            }
            Op::Index(Index::PutAlong { .. }) => all(Use::Elementwise(stmt.outs[0])),
            Op::Shape(Shape::BindDim { .. }) => all(Use::Memory),
            Op::Reduce(Reduce::Sum { .. } | Reduce::Prod { .. } | Reduce::Max { .. } | Reduce::Min { .. }) => {
                all(Use::Reduced(stmt.outs[0]))
            }
            Op::Reduce(Reduce::LogSumExp { .. } | Reduce::ArgMax { .. } | Reduce::ArgMin { .. }) => all(Use::Memory),
            Op::Index(
                Index::Read(_)
                | Index::Add(_)
                | Index::Write(_)
                | Index::Gather { .. }
                | Index::ScatterAdd { .. }
                | Index::TakeAlong { .. },
            ) => all(Use::Memory),
            Op::Linalg(_) | Op::Call(_) | Op::Control(Control::For { .. } | Control::If | Control::While | Control::Check { .. }) => {
                all(Use::Memory)
            }
            Op::Einsum(einsum) => match way(self.func, stmt, einsum, |v| self.plan.definition[v.0 as usize]) {
                Way::Elementwise => all(Use::Elementwise(stmt.outs[0])),
                Way::Fold => all(Use::Reduced(stmt.outs[0])),
                Way::Matrix(m) => vec![(m.left.0.value, Use::Memory), (m.right.0.value, Use::Memory)],
                Way::Stack(p) => vec![(p.left.value, Use::Memory), (p.right.value, Use::Memory)],
                Way::Contract(factors) => factors.iter().map(|f| (f.value, self.in_strides(f.value))).collect(),
            },
        }
    }

    /// How an array is used by what reads it at any strides: only windows need not stand in memory for that.
    fn in_strides(&self, value: ValueId) -> Use {
        match self.plan.definition[value.0 as usize] {
            Some(Stmt { op: Op::Shape(Shape::Unfold { .. }), .. }) => Use::Strided,
            Some(_) | None => Use::Memory,
        }
    }

    /// Finds the products that are folded, and nothing else, where they are computed.
    fn find_folded(&mut self, body: &'f Body) {
        let mut n_uses: HashMap<ValueId, usize> = HashMap::new();
        body.walk(&mut |stmt| {
            for &value in stmt.args.iter().chain(stmt.bodies.iter().flat_map(|b| &b.results)) {
                *n_uses.entry(value).or_default() += 1;
            }
        });
        for &value in &body.results {
            *n_uses.entry(value).or_default() += 1;
        }
        for &value in &self.order {
            let Some(Stmt { op: Op::Shape(Shape::Fold { .. }), args, .. }) = self.plan.definition[value.0 as usize] else { continue };
            let operand = args[0];
            let here = n_uses[&operand] == 1 && self.home[operand.0 as usize] == self.home[value.0 as usize];
            let Some(stmt) = self.plan.definition[operand.0 as usize].filter(|_| here) else { continue };
            self.plan.folded[operand.0 as usize] = match &stmt.op {
                Op::Einsum(einsum) => {
                    matches!(way(self.func, stmt, einsum, |v| self.plan.definition[v.0 as usize]), Way::Contract(_))
                }
                Op::Shape(Shape::Fold { .. }) => self.plan.folded[stmt.args[0].0 as usize],
                Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Linalg(_)
                | Op::Call(_)
                | Op::Control(_) => false,
            };
        }
    }

    /// Decides for every array whether it stands in memory, consumers before their operands.
    fn decide(&mut self) {
        let mut demands: Vec<Demand> = vec![Demand::default(); self.func.types.len()];
        for &value in self.order.clone().iter().rev() {
            let demand = self.demand(value, &demands);
            self.plan.in_memory[value.0 as usize] = self.func.ty(value).rank() > 0 && self.needs_memory(value, &demand);
            demands[value.0 as usize] = demand;
        }
        for (k, memory) in self.plan.in_memory.iter_mut().enumerate() {
            *memory |= self.plan.definition[k].is_none() && self.func.types[k].rank() > 0;
        }
    }

    fn demand(&self, value: ValueId, demands: &[Demand]) -> Demand {
        let mut demand = Demand::default();
        let uses = &self.uses[value.0 as usize];
        demand.repeated = uses.len() > 1;
        for &(kind, body) in uses {
            demand.captured |= body != self.home[value.0 as usize];
            match kind {
                Use::Memory => demand.memory = true,
                Use::Strided | Use::Scalar(_) => {}
                Use::Reduced(out) => {
                    demand.roots.insert(out);
                    // A product that is folded repeats an operand along the other's axes.
                    if let Some(Stmt { op: Op::Einsum(_), .. }) = self.plan.definition[out.0 as usize] {
                        demand.viewed = true;
                        demand.repeated |= self.is_repeated_in(value, out);
                    }
                }
                Use::Elementwise(out) => {
                    if self.plan.in_memory[out.0 as usize] {
                        demand.roots.insert(out);
                    } else {
                        let above = &demands[out.0 as usize];
                        demand.roots.extend(&above.roots);
                        demand.captured |= above.captured;
                        demand.repeated |= above.repeated && self.is_view(out);
                        demand.viewed |= above.viewed;
                        // What a reshape is asked for, its operand gives.
                        demand.memory |= above.memory && self.is_reshape(out);
                    }
                    if self.is_view(out) || matches!(self.plan.definition[out.0 as usize], Some(Stmt { op: Op::Einsum(_), .. })) {
                        demand.viewed = true;
                        demand.repeated |= self.is_repeated_in(value, out);
                    }
                }
            }
        }
        demand
    }

    /// Whether the loop behind `out` has more axes than `value`, so that it would compute each element several times.
    fn is_repeated_in(&self, value: ValueId, out: ValueId) -> bool {
        let stmt = self.plan.definition[out.0 as usize].expect("a use is by a statement");
        let space = stmt.args.iter().map(|&a| self.n_long(a)).max().unwrap_or(0).max(self.n_long(out));
        space > self.n_long(value)
    }

    fn needs_memory(&self, value: ValueId, demand: &Demand) -> bool {
        let stmt = self.plan.definition[value.0 as usize].expect("only parameters have no definition");
        match &stmt.op {
            // The operand's memory is the result's as well, unless the operand is a number.
            Op::Shape(Shape::Reshape { .. }) if self.is_reshape(value) => demand.memory && self.func.ty(stmt.args[0]).rank() == 0,
            Op::Shape(Shape::Reshape { .. } | Shape::Concat { .. }) => true,
            Op::Shape(Shape::Fold { .. }) => !self.plan.folded[value.0 as usize],
            Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Unfold { .. } | Shape::Iota { .. }) => demand.memory,
            Op::Elementwise(_) | Op::Index(Index::PutAlong { .. }) => {
                let once = !demand.repeated && !demand.captured;
                let one_loop = !demand.captured && !demand.viewed && demand.roots.len() == 1;
                demand.memory
                    || !(once || one_loop || self.is_cheap(value, demand.viewed) && (!demand.captured || self.reads_nothing(value)))
            }
            Op::Einsum(einsum) => match way(self.func, stmt, einsum, |v| self.plan.definition[v.0 as usize]) {
                Way::Elementwise => {
                    let one_loop = !demand.viewed && demand.roots.len() == 1;
                    demand.memory || demand.captured || (demand.repeated && !one_loop && !self.is_cheap(value, demand.viewed))
                }
                Way::Fold | Way::Matrix(_) | Way::Stack(_) | Way::Contract(_) => !self.plan.folded[value.0 as usize],
            },
            Op::Index(Index::Read(window)) => match Part::of(window, self.func.ty(stmt.args[0]).rank()) {
                Part::Strided => demand.memory,
                Part::Element | Part::Slice | Part::Downwards => true,
            },
            Op::Reduce(_)
            | Op::Call(_)
            | Op::Index(Index::Add(_) | Index::Write(_) | Index::Gather { .. } | Index::ScatterAdd { .. } | Index::TakeAlong { .. })
            | Op::Linalg(_)
            | Op::Control(_) => true,
            Op::Const(..) | Op::Shape(Shape::DimSize { .. } | Shape::BindDim { .. }) => unreachable!("gives no array"),
        }
    }

    /// Whether computing the value costs no more than reading it: few operations on one array of its size, and on smaller ones that are repeated.
    fn is_cheap(&self, value: ValueId, viewed: bool) -> bool {
        let Again { cost, arrays } = &self.again[value.0 as usize];
        let n_large = arrays.iter().filter(|&&array| self.n_long(array) >= self.n_long(value)).count();
        *cost <= if viewed { CHEAP_IN_VIEWS } else { CHEAP } && n_large <= 1
    }

    fn reads_nothing(&self, value: ValueId) -> bool {
        self.again[value.0 as usize].arrays.is_empty()
    }

    /// The number of axes that are not of length one.
    fn n_long(&self, value: ValueId) -> usize {
        self.func.ty(value).dims.iter().filter(|&&d| d != Dim::Const(1)).count()
    }

    /// Finds for every value what computing it again takes. An operand that is not cheap counts as read from memory where several loops or elements need it; it is kept
    /// there then, or all of them are in one loop, for which nothing is computed again.
    fn find_costs(&mut self) {
        for &value in &self.order.clone() {
            if self.func.ty(value).rank() == 0 {
                continue;
            }
            let stmt = self.plan.definition[value.0 as usize].expect("only parameters have no definition");
            let Some(own) = self.own_cost(stmt, value) else {
                self.again[value.0 as usize] = Again { cost: 0, arrays: HashSet::from([value]) };
                continue;
            };
            let mut again = Again { cost: own, arrays: HashSet::new() };
            for &arg in stmt.args.iter().filter(|&&arg| self.func.ty(arg).rank() > 0) {
                let repeated = self.n_long(arg) < self.n_long(value);
                let needed_again = repeated || self.uses[arg.0 as usize].len() > 1;
                if self.plan.definition[arg.0 as usize].is_none() || needed_again && !self.is_cheap(arg, repeated) {
                    again.arrays.insert(arg);
                } else {
                    let operand = &self.again[arg.0 as usize];
                    again.cost = again.cost.saturating_add(operand.cost);
                    again.arrays.extend(&operand.arrays);
                }
            }
            self.again[value.0 as usize] = again;
        }
    }

    /// Operations on each element that a statement adds to those of its operands; none if it always gives an array in memory.
    fn own_cost(&self, stmt: &Stmt, value: ValueId) -> Option<u32> {
        match &stmt.op {
            Op::Elementwise(op) => Some(elementwise_cost(*op)),
            Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Iota { .. }) => Some(0),
            Op::Shape(Shape::Reshape { .. }) if self.is_reshape(value) => Some(0),
            Op::Index(Index::PutAlong { .. }) => Some(2),
            Op::Einsum(einsum) if einsum.lhs.iter().chain(&einsum.rhs).all(|l| einsum.out.contains(l)) => Some(1),
            Op::Einsum(_)
            | Op::Const(..)
            | Op::Shape(
                Shape::Reshape { .. }
                | Shape::Concat { .. }
                | Shape::Unfold { .. }
                | Shape::Fold { .. }
                | Shape::DimSize { .. }
                | Shape::BindDim { .. },
            )
            | Op::Reduce(_)
            | Op::Index(
                Index::Read(_)
                | Index::Add(_)
                | Index::Write(_)
                | Index::Gather { .. }
                | Index::ScatterAdd { .. }
                | Index::TakeAlong { .. },
            )
            | Op::Linalg(_)
            | Op::Call(_)
            | Op::Control(_) => None,
        }
    }

    fn is_view(&self, value: ValueId) -> bool {
        matches!(self.plan.definition[value.0 as usize], Some(Stmt { op: Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. }), .. }))
            || self.is_reshape(value)
    }

    /// Whether a value is a reshape through which loops look.
    fn is_reshape(&self, value: ValueId) -> bool {
        match self.plan.definition[value.0 as usize] {
            Some(Stmt { op: Op::Shape(Shape::Reshape { dims }), args, .. }) => is_plain_reshape(self.func.ty(args[0]), dims),
            Some(_) | None => false,
        }
    }

    /// Puts operands into memory until no loop reads more than [`MAX_OPERANDS`] arrays.
    fn limit_operands(&mut self) {
        // The operands of a loop that computes a value: arrays, each at the view through which it is read, and positions.
        let mut operands: Vec<HashSet<ValueId>> = vec![HashSet::new(); self.func.types.len()];
        for &value in &self.order.clone() {
            let Some(stmt) = self.plan.definition[value.0 as usize] else { continue };
            if self.func.ty(value).rank() == 0 && !matches!(stmt.op, Op::Reduce(_) | Op::Einsum(_)) {
                continue;
            }
            loop {
                let mut read = HashSet::new();
                for &arg in &stmt.args {
                    if self.func.ty(arg).rank() > 0 {
                        if self.plan.in_memory[arg.0 as usize] {
                            read.insert(arg);
                        } else {
                            read.extend(&operands[arg.0 as usize]);
                        }
                    }
                }
                let own_position = matches!(stmt.op, Op::Index(Index::PutAlong { .. }) | Op::Shape(Shape::Iota { .. }));
                if matches!(stmt.op, Op::Index(Index::Read(_)) | Op::Shape(Shape::Unfold { .. })) {
                    read = HashSet::from([value]);
                }
                if read.len() + usize::from(own_position) <= MAX_OPERANDS {
                    if self.is_view(value) && !read.is_empty() || own_position {
                        // Another view of an array is another operand.
                        read.insert(value);
                    }
                    operands[value.0 as usize] = read;
                    break;
                }
                let inline = |&a: &ValueId| self.func.ty(a).rank() > 0 && !self.plan.in_memory[a.0 as usize] && !self.is_reshape(a);
                let largest = stmt.args.iter().copied().filter(inline).max_by_key(|a| operands[a.0 as usize].len());
                let Some(largest) = largest else {
                    operands[value.0 as usize] = read;
                    break;
                };
                self.plan.in_memory[largest.0 as usize] = true;
            }
        }
    }

    /// A nameless number that is used once, by another number of the same body, is part of its expression.
    fn inline_scalars(&mut self) {
        for &value in &self.order {
            let k = value.0 as usize;
            let Some(stmt) = self.plan.definition[k] else { continue };
            let inlined = match (&stmt.op, &self.uses[k][..]) {
                (Op::Const(..) | Op::Shape(Shape::DimSize { .. }), _) => true,
                (Op::Elementwise(_), [(Use::Scalar(by), body)]) => {
                    let by_number = self.func.ty(*by).rank() == 0
                        && matches!(self.plan.definition[by.0 as usize], Some(Stmt { op: Op::Elementwise(_), .. }));
                    by_number && *body == self.home[k] && self.func.note(value).name.is_none()
                }
                _ => false,
            };
            self.plan.inlined[k] = inlined && self.func.ty(value).rank() == 0;
        }
    }
}

fn elementwise_cost(op: Elementwise) -> u32 {
    use Elementwise as E;
    match op {
        E::Neg
        | E::Abs
        | E::Sign
        | E::Relu
        | E::Floor
        | E::StopGradient
        | E::Add
        | E::Sub
        | E::Mul
        | E::Max
        | E::Min
        | E::Lt
        | E::Le
        | E::Eq
        | E::Ne
        | E::And
        | E::Or
        | E::Not
        | E::Select
        | E::Cast(_) => 1,
        E::Powi(2) => 1,
        E::Powi(_) | E::Div | E::Rem | E::Sqrt => 4,
        E::Exp
        | E::ExpM1
        | E::Ln
        | E::Ln1p
        | E::Sin
        | E::Cos
        | E::Tan
        | E::Asin
        | E::Acos
        | E::Atan
        | E::Sinh
        | E::Cosh
        | E::Tanh
        | E::Sigmoid
        | E::Softplus
        | E::Erf
        | E::Powf
        | E::Atan2 => 10,
    }
}
