//! Convolution and pooling: compositions on sliding windows.

use super::Lowering;
use super::text;
use super::value::Value;
use crate::diagnostics::messages;
use crate::ir::{Control, Dim, Elementwise, Index, Literal, Op, Pick, Reduce, Shape, ValueId, Window};

/// How windows lie on an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spacing {
    /// Zeros before and after the axis.
    padding: u64,
    /// Distance between neighbouring windows.
    step: u64,
    /// Distance between neighbours in a window.
    dilation: u64,
}

/// The number of windows on an axis: its length, the length of a window, how they lie, and the number.
pub(super) type WindowCount = (Dim, Dim, Spacing, ValueId);

const IMAGES: &str = "images: an array of floats with the axes sample, channel, row and column";
const KERNELS: &str = "kernels: an array of floats with the axes channel of the result, channel of the images, row and column";

impl Lowering<'_> {
    /// `conv2d(&images, &kernels, stride, padding)`, and with a fifth argument for the dilation: windows on the padded images times the kernels.
    pub(super) fn conv2d(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let (x, kernels) = (self.four_axes(args[0], IMAGES), self.four_axes(args[1], KERNELS));
        let (steps, padding) = (self.sides(args[2], 1), self.sides(args[3], 0));
        let dilations = args.get(4).map_or(Some([1, 1]), |e| self.sides(e, 1));
        let (x, kernels, steps, padding, dilations) = (x?, kernels?, steps?, padding?, dilations?);
        let spacing = |k: usize| Spacing { padding: padding[k], step: steps[k], dilation: dilations[k] };
        let window = [2, 3].map(|axis| self.b.ty(kernels).dims[axis]);
        let windows = self.windows(whole, args, x, window, [spacing(0), spacing(1)])?;
        self.einsum(whole, "ncipjq,ocpq->noij", (windows, args[0]), (kernels, args[1]))
    }

    /// `max_pool2d(&x, size)` and `avg_pool2d(&x, size)`: windows that lie side by side, reduced.
    pub(super) fn pool2d(&mut self, whole: &syn::Expr, args: &[&syn::Expr], largest: bool) -> Option<ValueId> {
        let (x, size) = (self.four_axes(args[0], IMAGES), self.sides(args[1], 1));
        let (x, size) = (x?, size?);
        let spacing = size.map(|step| Spacing { padding: 0, step, dilation: 1 });
        let windows = self.windows(whole, args, x, size.map(Dim::Const), spacing)?;
        if largest { self.emit(whole, Reduce::Max { axes: vec![3, 5] }, &[windows]) } else { self.mean_value(whole, windows, vec![3, 5]) }
    }

    /// Windows on the last two axes of images, `[n, c, rows, row in a window, columns, column in a window]`.
    fn windows(&mut self, whole: &syn::Expr, args: &[&syn::Expr], x: ValueId, window: [Dim; 2], spacing: [Spacing; 2]) -> Option<ValueId> {
        let dims = self.b.ty(x).dims.clone();
        let mut counts = [Dim::Const(0); 2];
        for (k, count) in counts.iter_mut().enumerate() {
            *count = self.window_count(whole, args, dims[2 + k], window[k], spacing[k])?;
        }
        let mut x = self.padded(whole, x, spacing.map(|s| s.padding))?;
        for (k, axis) in [2, 4].into_iter().enumerate() {
            let Spacing { step, dilation, .. } = spacing[k];
            // Lengths may have become known as others on the way.
            let [out, len] = [counts[k], window[k]].map(|dim| self.b.current_dim(dim));
            x = self.part(whole, Shape::Unfold { axis, out, len, step, dilation }, &[x])?;
        }
        Some(x)
    }

    /// How many windows of length `len` lie on a padded axis of length `n`: `(n + 2 padding - dilation (len - 1) - 1) / step + 1`. There must be one.
    fn window_count(&mut self, whole: &syn::Expr, args: &[&syn::Expr], n: Dim, len: Dim, spacing: Spacing) -> Option<Dim> {
        let Spacing { padding, step, dilation } = spacing;
        let [n, len] = [n, len].map(|dim| self.b.current_dim(dim));
        let more = padding.saturating_mul(2).saturating_add(dilation);
        if let (Dim::Const(n), Dim::Const(len)) = (n, len) {
            let rest = n.saturating_add(more).saturating_sub(len.saturating_mul(dilation));
            if rest == 0 || len == 0 {
                let expected = "windows that have elements and fit on the images with their padding";
                let found = format!("windows of {len} positions on an axis of {n}");
                self.error(args[1], messages::EXPECTED_KIND, &[expected, &found, "take smaller windows, or more padding"]);
                return None;
            }
            return Some(Dim::Const((rest - 1) / step + 1));
        }
        let same = |this: &Self, &(a, b, s, v): &WindowCount| {
            (this.b.current_dim(a), this.b.current_dim(b), s) == (n, len, spacing) && this.b.depth_of(v).is_some()
        };
        if let Some(&(.., count)) = self.window_counts.iter().find(|entry| same(self, entry)) {
            return self.dim_of_length(&Value::Tensor(count), "windows", whole);
        }
        let (length, window) = (self.length(n, whole)?, self.length(len, whole)?);
        let (more, dilation) = (self.usize_constant(more, whole)?, self.usize_constant(dilation, whole)?);
        let room = self.part(whole, Elementwise::Add, &[length, more])?;
        let reach = self.part(whole, Elementwise::Mul, &[window, dilation])?;
        let zero = self.usize_constant(0, whole)?;
        let fits = self.part(whole, Elementwise::Lt, &[reach, room])?;
        let some = self.part(whole, Elementwise::Lt, &[zero, window])?;
        let holds = self.part(whole, Elementwise::And, &[fits, some])?;
        let message = format!("the windows of `{}` have no elements or do not fit on the images with their padding", text(whole));
        self.part(whole, Op::Control(Control::Check { message: message.into() }), &[holds]);
        // Where the check fails there are no windows, and what follows has something to go on with.
        let larger = self.part(whole, Elementwise::Max, &[room, reach])?;
        let mut count = self.part(whole, Elementwise::Sub, &[larger, reach])?;
        if step > 1 {
            let (up, by) = (self.usize_constant(step - 1, whole)?, self.usize_constant(step, whole)?);
            let sum = self.part(whole, Elementwise::Add, &[count, up])?;
            count = self.part(whole, Elementwise::Div, &[sum, by])?;
        }
        self.window_counts.push((n, len, spacing, count));
        self.dim_of_length(&Value::Tensor(count), "windows", whole)
    }

    /// Images with zeros around them.
    fn padded(&mut self, whole: &syn::Expr, x: ValueId, padding: [u64; 2]) -> Option<ValueId> {
        if padding == [0, 0] {
            return Some(x);
        }
        let ty = self.b.ty(x).clone();
        let mut dims = ty.dims.clone();
        let (mut axes, mut starts) = (Vec::new(), Vec::new());
        for (axis, &padding) in [2, 3].iter().zip(&padding).filter(|(_, padding)| **padding > 0) {
            axes.push((*axis, Pick::Slice { step: 1, len: ty.dims[*axis] }));
            starts.push(self.usize_constant(padding, whole)?);
            dims[*axis] = match ty.dims[*axis] {
                Dim::Const(n) => Dim::Const(n.saturating_add(padding.saturating_mul(2))),
                dim => {
                    let (n, more) = (self.length(dim, whole)?, self.usize_constant(padding.saturating_mul(2), whole)?);
                    let sum = self.part(whole, Elementwise::Add, &[n, more])?;
                    self.dim_of_length(&Value::Tensor(sum), "padded", whole)?
                }
            };
        }
        let zero = self.part(whole, Op::Const(ty.elem, Literal::Float(0.0)), &[])?;
        let zeros = self.stretch(zero, &dims, whole)?;
        self.part(whole, Index::Write(Window { axes }), &[&[zeros][..], &starts, &[x]].concat())
    }

    /// An argument that must be an array of floats with four axes.
    fn four_axes(&mut self, e: &syn::Expr, expected: &str) -> Option<ValueId> {
        let x = self.array_argument(e)?;
        let ty = self.b.ty(x);
        if ty.rank() == 4 && ty.elem.is_float() {
            return Some(x);
        }
        let found = self.describe(&Value::Tensor(x));
        self.error(e, messages::EXPECTED_KIND, &[expected, &found, "`insert_axis(Axis(k))` adds an axis of length one"]);
        None
    }

    /// A number for the height and the width, or `[height, width]`, each at least `least`.
    fn sides(&mut self, e: &syn::Expr, least: u64) -> Option<[u64; 2]> {
        let mut list = e;
        while let syn::Expr::Paren(syn::ExprParen { expr, .. }) = list {
            list = expr;
        }
        if let syn::Expr::Array(array) = list
            && array.elems.len() == 2
        {
            let (height, width) = (self.one_side(&array.elems[0], least), self.one_side(&array.elems[1], least));
            return Some([height?, width?]);
        }
        self.one_side(e, least).map(|side| [side; 2])
    }

    fn one_side(&mut self, e: &syn::Expr, least: u64) -> Option<u64> {
        let value = self.literal_int(e)?;
        match value.ok().and_then(|n| u64::try_from(n).ok()) {
            Some(n) if n >= least => Some(n),
            _ => {
                let expected = match least {
                    0 => "a number, or two, known when the program is compiled",
                    _ => "a number above zero, or two, known when the program is compiled",
                };
                let found = format!("`{}`", text(e));
                self.error(e, messages::EXPECTED_KIND, &[expected, &found, "write a literal, a `const`, or `[height, width]` of such"]);
                None
            }
        }
    }
}
