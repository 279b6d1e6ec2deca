//! Access at positions that are data: parts of arrays read, added to and written.
//!
//! A part whose elements stand together in memory is a slice of the array. One whose elements stand at equal distances upwards is read by loops as
//! it stands (a *view*: the elements from its first one on, with strides); what needs its elements in memory makes a copy of it. What adds and
//! writes does so in place where [`in_place`](super::in_place) allows it, else to a copy.

use proc_macro2::TokenStream;
use quote::quote;

use super::access::{Length, length};
use super::einsum::{Way, way};
use super::emitter::Emitter;
use super::expr::Expr;
use crate::ir::{Dim, Func, Index, Op, Pick, Shape, Stmt, ValueId, Window};

/// How the part that a `read` gives stands in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// One element.
    Element,
    /// Elements that stand together, in order.
    Slice,
    /// Elements at equal distances along each axis, in ascending order.
    Strided,
    /// Some axis runs downwards.
    Downwards,
}

impl Part {
    /// The part of a tensor of `rank` axes.
    pub(super) fn of(window: &Window, rank: usize) -> Part {
        let downwards = |&(_, pick): &(usize, Pick)| matches!(pick, Pick::Slice { step, .. } if step < 0);
        let n_first = window.axes.iter().enumerate().take_while(|&(k, &axis)| axis == (k, Pick::At)).count();
        let run = |&(axis, pick): &(usize, Pick)| axis == n_first && matches!(pick, Pick::Slice { step: 1, .. });
        if n_first == rank {
            Part::Element
        } else if window.axes.iter().any(downwards) {
            Part::Downwards
        } else if n_first == window.axes.len() || n_first + 1 == window.axes.len() && window.axes.last().is_some_and(run) {
            Part::Slice
        } else {
            Part::Strided
        }
    }

    /// The part that a statement gives, if it reads one.
    pub(super) fn read_by(func: &Func, stmt: &Stmt) -> Option<Part> {
        match &stmt.op {
            Op::Index(Index::Read(window)) => Some(Part::of(window, func.ty(stmt.args[0]).rank())),
            Op::Index(
                Index::Add(_)
                | Index::Write(_)
                | Index::Gather { .. }
                | Index::ScatterAdd { .. }
                | Index::TakeAlong { .. }
                | Index::PutAlong { .. },
            )
            | Op::Call(_)
            | Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Linalg(_)
            | Op::Control(_) => None,
        }
    }
}

impl<'f> Emitter<'f> {
    /// Whether a value is a part of an array, or windows on one, that loops read where it stands.
    pub(super) fn is_part_view(&self, value: ValueId) -> bool {
        !self.plan.in_memory[value.0 as usize] && self.func.ty(value).rank() > 0 && self.strides_in_whole(value).is_some()
    }

    /// For what reads a part of an array: for each of its axes the stride in the array, and the step.
    fn strides_in_whole(&self, value: ValueId) -> Option<Vec<(Length, i64)>> {
        let stmt = self.plan.definition[value.0 as usize]?;
        match &stmt.op {
            Op::Index(Index::Read(window)) => Some(part_strides(window, &self.func.ty(stmt.args[0]).dims)),
            Op::Shape(Shape::Unfold { axis, step, dilation, .. }) => {
                let of_whole = self.strides_in_whole(stmt.args[0]).filter(|_| self.is_part_view(stmt.args[0]));
                let mut strides =
                    of_whole.unwrap_or_else(|| row_major(&self.func.ty(stmt.args[0]).dims).into_iter().map(|stride| (stride, 1)).collect());
                unfold_strides(&mut strides, *axis, [*step, *dilation]);
                Some(strides)
            }
            Op::Index(
                Index::Add(_)
                | Index::Write(_)
                | Index::Gather { .. }
                | Index::ScatterAdd { .. }
                | Index::TakeAlong { .. }
                | Index::PutAlong { .. },
            )
            | Op::Call(_)
            | Op::Shape(
                Shape::Broadcast { .. }
                | Shape::Permute { .. }
                | Shape::Reshape { .. }
                | Shape::Concat { .. }
                | Shape::Fold { .. }
                | Shape::Iota { .. }
                | Shape::DimSize { .. }
                | Shape::BindDim { .. },
            )
            | Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Linalg(_)
            | Op::Control(_) => None,
        }
    }

    /// The distance in memory between neighbours along each axis of a value that loops read.
    pub(super) fn strides(&self, value: ValueId) -> Vec<Length> {
        match self.strides_in_whole(value) {
            Some(strides) if self.is_part_view(value) => strides.into_iter().map(|(stride, step)| with_step(stride, step)).collect(),
            _ => row_major(&self.func.ty(value).dims),
        }
    }

    /// Reading a part: its value, and whether it is computed here and not just looked at.
    pub(super) fn read(&mut self, stmt: &Stmt, window: &Window) -> TokenStream {
        let rt = self.rt.clone();
        let (out, whole) = (stmt.outs[0], stmt.args[0]);
        let x = self.memory(whole);
        let part = Part::of(window, self.func.ty(whole).rank());
        if part == Part::Slice && window.axes.len() == 1 && window.axes[0].1 == Pick::At {
            let (i, len) = (self.number(stmt.args[1]), self.elements(out));
            return quote!(#rt::row(#x, #i, #len));
        }
        let start = self.start(window, whole, &stmt.args[1..]);
        match part {
            Part::Element => quote!(#x[#start]),
            Part::Slice => {
                let len = self.elements(out);
                quote!(#rt::part(#x, #start, #len))
            }
            Part::Strided if self.is_part_view(out) => quote!(#rt::from(#x, #start)),
            Part::Strided | Part::Downwards => {
                let (shape, strides) = self.part_space(&part_strides(window, &self.func.ty(whole).dims), out);
                let dest = self.destination(out);
                quote!(#rt::read(#dest, #x, #start, #shape, #strides))
            }
        }
    }

    /// Adds to a part, or replaces it: in place if nothing needs the array as it was, otherwise in a copy.
    pub(super) fn change(&mut self, stmt: &Stmt, window: &Window) -> TokenStream {
        let rt = self.rt.clone();
        let (out, whole, v) = (stmt.outs[0], stmt.args[0], stmt.args[stmt.args.len() - 1]);
        let adds = matches!(stmt.op, Op::Index(Index::Add(_)));
        let start = self.start(window, whole, &stmt.args[1..=window.axes.len()]);
        let v_place = self.memory(v);
        let part = (self.func.ty(v).rank() > 0).then(|| self.part_space(&part_strides(window, &self.func.ty(whole).dims), v));
        let (before, field) = self.changed_buffer(stmt);
        let change = match (part, adds) {
            (None, true) => quote!(buffers.#field[#start] += #v_place;),
            (None, false) => quote!(buffers.#field[#start] = #v_place;),
            (Some((shape, strides)), true) => quote!(#rt::add(&mut buffers.#field, #start, #shape, #strides, #v_place);),
            (Some((shape, strides)), false) => quote!(#rt::write(&mut buffers.#field, #start, #shape, #strides, #v_place);),
        };
        self.places[out.0 as usize] = Some(Expr::atom(quote!(buffers.#field.all())));
        quote!(#before #change)
    }

    /// `rt::scatter_add(…)`, in place or in a copy.
    pub(super) fn scatter_add(&mut self, stmt: &Stmt, axis: usize) -> TokenStream {
        let rt = self.rt.clone();
        let &[whole, positions, v] = &stmt.args[..] else { unreachable!("three operands") };
        let (positions, v) = (self.slice(positions), self.slice(v));
        let shape = self.around(whole, axis);
        let (before, field) = self.changed_buffer(stmt);
        self.places[stmt.outs[0].0 as usize] = Some(Expr::atom(quote!(buffers.#field.all())));
        quote!(#before #rt::scatter_add(&mut buffers.#field, #positions, #v, #shape);)
    }

    /// `rt::gather(…)`
    pub(super) fn gather(&mut self, stmt: &Stmt, axis: usize) -> TokenStream {
        let rt = self.rt.clone();
        let out = stmt.outs[0];
        let (x, positions, shape) = (self.memory(stmt.args[0]), self.slice(stmt.args[1]), self.around(stmt.args[0], axis));
        if self.func.ty(out).rank() == 0 {
            return quote!(#rt::gather(&mut [::core::default::Default::default()], #x, #positions, #shape)[0]);
        }
        let dest = self.destination(out);
        quote!(#rt::gather(#dest, #x, #positions, #shape))
    }

    /// `rt::concat(…)`
    pub(super) fn concat(&mut self, stmt: &Stmt, axis: usize) -> TokenStream {
        let rt = self.rt.clone();
        let out = stmt.outs[0];
        let dims = self.func.ty(out).dims.clone();
        let part = |dims: &[Dim]| self.length(&length(dims.iter().copied()));
        let (outer, len, inner) = (part(&dims[..axis]), part(&dims[axis..=axis]), part(&dims[axis + 1..]));
        let operands: Vec<TokenStream> = stmt
            .args
            .iter()
            .map(|&x| {
                let (elements, n) = (self.memory(x), self.dim(self.func.ty(x).dims[axis]));
                quote!((#elements, #n))
            })
            .collect();
        let dest = self.destination(out);
        quote!(#rt::concat(#dest, [#outer, #len, #inner], &[#(#operands),*]))
    }

    /// Sliding windows: the array itself, once it is known that they fit, or a copy.
    pub(super) fn unfold(&mut self, stmt: &Stmt, axis: usize, counts: [Dim; 2], steps: [u64; 2]) -> TokenStream {
        let rt = self.rt.clone();
        let (out, whole) = (stmt.outs[0], stmt.args[0]);
        let (x, n) = (self.memory(whole), self.dim(self.func.ty(whole).dims[axis]));
        let [n_windows, len] = counts.map(|dim| self.dim(dim));
        let [step, dilation] = steps.map(proc_macro2::Literal::u64_unsuffixed);
        let windows = quote!(#rt::windows(#x, #n, [#n_windows, #len], [#step, #dilation]));
        if self.is_part_view(out) {
            return windows;
        }
        let (shape, strides) = self.part_space(&self.strides_in_whole(out).expect("windows"), out);
        let dest = self.destination(out);
        quote!(#rt::read(#dest, #windows, 0, #shape, #strides))
    }

    /// `rt::fold(…)`, or `rt::contract_windows(…)` of a product that is computed for this alone.
    pub(super) fn fold_windows(&mut self, stmt: &'f Stmt, axis: usize, steps: [u64; 2]) -> TokenStream {
        let rt = self.rt.clone();
        if let Some((product, folds)) = self.plan.folded_product(stmt) {
            return self.folded_product(product, &folds);
        }
        let (out, x) = (stmt.outs[0], stmt.args[0]);
        let shape = self.around(out, axis);
        let counts = [axis, axis + 1].map(|axis| self.dim(self.func.ty(x).dims[axis]));
        let [step, dilation] = steps.map(proc_macro2::Literal::u64_unsuffixed);
        let x = self.memory(x);
        let dest = self.destination(out);
        quote!(#rt::fold(#dest, #x, #shape, [#(#counts),*], [#step, #dilation]))
    }

    /// A product into the array in which its windows are added up.
    fn folded_product(&mut self, product: &Stmt, folds: &[&Stmt]) -> TokenStream {
        let rt = self.rt.clone();
        let Op::Einsum(einsum) = &product.op else { unreachable!("the product is an einsum") };
        let Way::Contract([lhs, rhs]) = way(self.func, product, einsum, |v| self.plan.definition[v.0 as usize]) else {
            unreachable!("only contractions are folded");
        };
        let out = folds[0].outs[0];
        let mut strides: Vec<(Length, i64)> = row_major(&self.func.ty(out).dims).into_iter().map(|stride| (stride, 1)).collect();
        let mut checks = TokenStream::new();
        for fold in folds {
            let Op::Shape(Shape::Fold { axis, dim, step, dilation }) = &fold.op else { unreachable!("all of them are folds") };
            unfold_strides(&mut strides, *axis, [*step, *dilation]);
            let n = self.dim(*dim);
            let counts = [*axis, axis + 1].map(|axis| self.dim(self.func.ty(fold.args[0]).dims[axis]));
            let [step, dilation] = [*step, *dilation].map(proc_macro2::Literal::u64_unsuffixed);
            checks.extend(quote!(#rt::check_windows(#n, [#(#counts),*], [#step, #dilation]);));
        }
        let strides = strides.into_iter().map(|(stride, step)| self.length(&with_step(stride, step))).collect::<Vec<_>>();
        let (shapes, operands) = self.contracted(&einsum.out, &lhs, &rhs);
        let [out_shape, sum_shape] = shapes;
        let dest = self.destination(out);
        quote!({ #checks #rt::contract_windows(#dest, #out_shape, [#(#strides),*], #sum_shape, #operands) })
    }

    /// The check that an array can be reshaped, where that does not follow from the dimensions.
    pub(super) fn check_of_reshape(&self, stmt: &Stmt) -> TokenStream {
        let Op::Shape(Shape::Reshape { dims }) = &stmt.op else { return TokenStream::new() };
        let from = &self.func.ty(stmt.args[0]).dims;
        if Shape::same_elements(from, dims) == Some(true) {
            return TokenStream::new();
        }
        let rt = &self.rt;
        let [from, to] = [from, dims].map(|dims| {
            let lens = dims.iter().map(|&d| self.dim(d));
            quote!([#(#lens),*])
        });
        quote!(#rt::check_reshape(&#from, &#to);)
    }

    /// The elements of an array, or of a number as an array of one.
    fn slice(&self, value: ValueId) -> TokenStream {
        let x = self.memory(value);
        if self.func.ty(value).rank() == 0 { quote!(&[#x]) } else { quote!(#x) }
    }

    /// The place in memory of the first element of a part, all positions checked.
    fn start(&self, window: &Window, whole: ValueId, starts: &[ValueId]) -> TokenStream {
        let rt = &self.rt;
        let dims = &self.func.ty(whole).dims;
        if dims.len() == 1 && window.axes[..] == [(0, Pick::At)] {
            // The slice checks it.
            let i = self.number(starts[0]);
            return quote!(#i);
        }
        let strides = row_major(dims);
        let terms = window.axes.iter().zip(starts).map(|(&(axis, pick), &start)| {
            let (i, n) = (self.number(start), self.dim(dims[axis]));
            let position = match pick {
                Pick::At => quote!(#rt::at(#i, #n)),
                Pick::Slice { step, len } => {
                    let (step, len) = (proc_macro2::Literal::i64_unsuffixed(step), self.dim(len));
                    quote!(#rt::first(#i, #step, #len, #n))
                }
            };
            if strides[axis].is_empty() {
                return position;
            }
            let stride = self.length(&strides[axis]);
            quote!(#position * #stride)
        });
        terms.reduce(|sum, term| quote!(#sum + #term)).unwrap_or_else(|| quote!(0))
    }

    /// The shape of a part and its strides in the whole, with their signs.
    fn part_space(&self, strides: &[(Length, i64)], part: ValueId) -> (TokenStream, TokenStream) {
        let shape = self.func.ty(part).dims.iter().map(|&d| self.dim(d));
        let strides = strides.iter().map(|&(ref stride, step)| {
            let step = (step != 1).then(|| proc_macro2::Literal::i64_unsuffixed(step));
            match (stride.is_empty(), step) {
                (true, None) => quote!(1),
                (true, Some(step)) => quote!(#step),
                (false, step) => {
                    let product = self.length(stride);
                    let product = if stride.len() > 1 { quote!((#product)) } else { product };
                    let times = step.map(|step| quote!(* #step));
                    quote!(#product as isize #times)
                }
            }
        });
        (quote!([#(#shape),*]), quote!([#(#strides),*]))
    }

    /// The buffer in which a statement changes its first operand, and what copies the operand there if it has to.
    fn changed_buffer(&mut self, stmt: &Stmt) -> (TokenStream, proc_macro2::Ident) {
        let rt = self.rt.clone();
        let (out, whole) = (stmt.outs[0], stmt.args[0]);
        if let Some(field) = self.buffer_to_take(whole, stmt) {
            self.set_own_buffer(out, &field);
            return (TokenStream::new(), field);
        }
        let from = self.memory(whole);
        let field = self.buffer(out);
        self.set_own_buffer(out, &field);
        let len = self.elements(out);
        (quote!(#rt::copy(buffers.#field.fit(#len), #from);), field)
    }
}

/// For each axis of a part its stride in the whole, and the step.
fn part_strides(window: &Window, whole: &[Dim]) -> Vec<(Length, i64)> {
    let strides = row_major(whole);
    let step = |axis: usize| {
        window.axes.iter().find(|&&(a, _)| a == axis).map_or(1, |&(_, pick)| match pick {
            Pick::At => 1,
            Pick::Slice { step, .. } => step,
        })
    };
    window.kept(whole.len()).into_iter().map(|axis| (strides[axis].clone(), step(axis))).collect()
}

/// Puts the strides of windows and of positions in them in the place of an axis' stride.
fn unfold_strides(strides: &mut Vec<(Length, i64)>, axis: usize, [step, dilation]: [u64; 2]) {
    let (stride, own) = strides[axis].clone();
    strides.splice(axis..=axis, [(stride.clone(), own * step as i64), (stride, own * dilation as i64)]);
}

fn with_step(stride: Length, step: i64) -> Length {
    let step = u64::try_from(step).expect("views run upwards");
    length([Dim::Const(step)].into_iter().chain(stride))
}

/// The strides of a whole array in row-major order.
pub(super) fn row_major(dims: &[Dim]) -> Vec<Length> {
    (0..dims.len()).map(|k| length(dims[k + 1..].iter().copied())).collect()
}
