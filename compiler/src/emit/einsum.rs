//! Which kernel computes a product.

use crate::ir::{Einsum, Func, Op, Shape, Stmt, ValueId};

/// An operand of a product, seen through permutations: the value that has memory, and the label of each of its axes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Factor {
    pub(super) value: ValueId,
    pub(super) labels: Vec<u8>,
}

/// A way to compute a product.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Nothing is summed: an element-wise product of broadcasts.
    Elementwise,
    /// Only one operand has labels of its own: an element-wise product that is summed.
    Fold,
    /// A matrix product, the operands perhaps exchanged and transposed.
    Matrix(MatrixProduct),
    /// A matrix product at each position of some axes.
    Stack(StackProduct),
    /// Anything else.
    Contract([Factor; 2]),
}

/// A matrix product with row-major result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct MatrixProduct {
    /// Labels of the result's rows, of what is summed, and of the result's columns.
    pub(super) rows: Vec<u8>,
    pub(super) sums: Vec<u8>,
    pub(super) cols: Vec<u8>,
    /// The left factor, and whether its memory is that of its transpose.
    pub(super) left: (Factor, bool),
    /// The right factor, likewise.
    pub(super) right: (Factor, bool),
}

/// Matrix products with row-major results, one after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StackProduct {
    /// Labels of the axes along which the products stand, which come first in the result. A factor that lacks one is the same along it.
    pub(super) stack: Vec<u8>,
    /// Labels of each result's rows, of what is summed, and of each result's columns; in the factors they stand next to each other, in this order.
    pub(super) rows: Vec<u8>,
    pub(super) sums: Vec<u8>,
    pub(super) cols: Vec<u8>,
    pub(super) left: Factor,
    pub(super) right: Factor,
}

/// Chooses the kernel for an einsum statement. `definition` gives the statement that defines a value, if any.
pub(super) fn way<'f>(func: &Func, stmt: &Stmt, einsum: &Einsum, definition: impl Fn(ValueId) -> Option<&'f Stmt>) -> Way {
    let Einsum { lhs, rhs, out } = einsum;
    let only = |a: &[u8], b: &[u8]| a.iter().copied().filter(|l| !b.contains(l)).collect::<Vec<u8>>();
    let both: Vec<u8> = lhs.iter().copied().filter(|l| rhs.contains(l)).collect();
    let sums = only(&both, out);
    if sums.is_empty() {
        return Way::Elementwise;
    }
    let batch = only(&both, &sums);
    let (lhs_own, rhs_own) = (only(lhs, rhs), only(rhs, lhs));
    let vector = lhs_own.is_empty() || rhs_own.is_empty();
    if vector && (!batch.is_empty() || lhs_own.len() == rhs_own.len()) {
        return Way::Fold;
    }
    let factor = |value: ValueId, labels: &[u8]| through_permutations(func, value, labels.to_vec(), &definition);
    let factors = [factor(stmt.args[0], lhs), factor(stmt.args[1], rhs)];
    if batch.is_empty() {
        // A matrix and a vector in this order, which reads best.
        let [a, b] = &factors;
        let orders = if lhs_own.is_empty() { [(b, a), (a, b)] } else { [(a, b), (b, a)] };
        for (left, right) in orders {
            let rows = only(&left.labels, &right.labels);
            let Some((rows, cols)) = out.split_at_checked(rows.len()) else { continue };
            let shared: Vec<u8> = only(&left.labels, rows);
            if let (Some(l), Some(r)) = (layout(&left.labels, rows, &shared), layout(&right.labels, &shared, cols)) {
                let (rows, cols) = (rows.to_vec(), cols.to_vec());
                return Way::Matrix(MatrixProduct { rows, sums: shared, cols, left: (left.clone(), l), right: (right.clone(), r) });
            }
        }
    }
    if vector {
        return Way::Fold;
    }
    match stack_product(&factors, out, &batch) {
        // A stack along several axes that only one operand has is one of small matrices, whose axes stand in between: windows, for example.
        Some(product) if product.stack.iter().filter(|l| !batch.contains(l)).count() < 2 => Way::Stack(product),
        Some(_) | None => Way::Contract(factors),
    }
}

/// The product as a stack of matrix products, with as few axes in the stack as possible; none if an axis of the matrices is several that do not stand next to each
/// other.
fn stack_product(factors: &[Factor; 2], out: &[u8], shared: &[u8]) -> Option<StackProduct> {
    let [a, b] = factors;
    for n_stack in 0..out.len() {
        let (stack, rest) = out.split_at(n_stack);
        if shared.iter().any(|l| !stack.contains(l)) {
            continue;
        }
        for (left, right) in [(a, b), (b, a)] {
            let n_rows = rest.iter().take_while(|l| left.labels.contains(l)).count();
            let (rows, cols) = rest.split_at(n_rows);
            let sums: Vec<u8> = left.labels.iter().copied().filter(|l| !out.contains(l)).collect();
            let fits = cols.iter().all(|l| right.labels.contains(l))
                && left.stands_together(rows)
                && left.stands_together(&sums)
                && right.stands_together(&sums)
                && right.stands_together(cols);
            if fits {
                let (stack, rows, cols) = (stack.to_vec(), rows.to_vec(), cols.to_vec());
                return Some(StackProduct { stack, rows, sums, cols, left: left.clone(), right: right.clone() });
            }
        }
    }
    None
}

impl Factor {
    /// Whether the labels stand next to each other in this order.
    fn stands_together(&self, labels: &[u8]) -> bool {
        labels.is_empty() || self.labels.windows(labels.len()).any(|window| window == labels)
    }

    /// The axis of a label.
    pub(super) fn axis(&self, label: u8) -> Option<usize> {
        self.labels.iter().position(|&l| l == label)
    }
}

/// Whether the labels are first `rows`, then `cols` (false), or the other way round (true).
fn layout(labels: &[u8], rows: &[u8], cols: &[u8]) -> Option<bool> {
    let is = |first: &[u8], second: &[u8]| labels.iter().eq(first.iter().chain(second));
    if is(rows, cols) {
        Some(false)
    } else if is(cols, rows) {
        Some(true)
    } else {
        None
    }
}

/// The value below permutations, with the labels in its own order of axes.
fn through_permutations<'f>(
    func: &Func,
    mut value: ValueId,
    mut labels: Vec<u8>,
    definition: &impl Fn(ValueId) -> Option<&'f Stmt>,
) -> Factor {
    while let Some(stmt) = definition(value)
        && let Op::Shape(Shape::Permute { perm }) = &stmt.op
    {
        let mut below = labels.clone();
        for (&p, &label) in perm.iter().zip(&labels) {
            below[p] = label;
        }
        (value, labels) = (stmt.args[0], below);
    }
    debug_assert_eq!(func.ty(value).rank(), labels.len());
    Factor { value, labels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::text::parse;

    fn way_of(spec: &str, a: &str, b: &str, out: &str) -> Way {
        let text = format!("func f(%a: f64[{a}], %b: f64[{b}]) -> (%c) {{\n  %c: f64[{out}] = einsum[{spec}](%a, %b)\n}}");
        let func = parse(&text.replace("f64[]", "f64")).unwrap();
        let stmt = &func.body.stmts[0];
        let Op::Einsum(einsum) = &stmt.op else { unreachable!() };
        way(&func, stmt, einsum, |_| None)
    }

    #[test]
    fn products_find_their_kernels() {
        let transposed = |way: Way| match way {
            Way::Matrix(m) => (m.left.1, m.right.1, m.left.0.value.0 == 1),
            other => panic!("{other:?}"),
        };
        assert_eq!(transposed(way_of("ij,jk->ik", "n, d", "d, c", "n, c")), (false, false, false));
        assert_eq!(transposed(way_of("ij,ik->jk", "n, d", "n, c", "d, c")), (true, false, false));
        assert_eq!(transposed(way_of("ij,jk->ki", "n, d", "d, c", "c, n")), (true, true, true));
        assert_eq!(transposed(way_of("ij,kj->ik", "n, d", "c, d", "n, c")), (false, true, false));
        assert_eq!(transposed(way_of("ij,j->i", "n, d", "d", "n")), (false, false, false));
        assert_eq!(transposed(way_of("j,ij->i", "d", "n, d", "n")), (false, false, true));
        assert_eq!(transposed(way_of("ij,i->j", "n, d", "n", "d")), (true, false, false));
        assert_eq!(way_of("i,j->ij", "n", "d", "n, d"), Way::Elementwise);
        assert_eq!(way_of("i,->i", "n", "", "n"), Way::Elementwise);
        assert_eq!(way_of("i,i->", "n", "n", ""), Way::Fold);
        assert_eq!(way_of("ij,ij->i", "n, d", "n, d", "n"), Way::Fold);
        assert_eq!(way_of("ij,ij->", "n, d", "n, d", ""), Way::Fold);
        assert_eq!(way_of("bij,bj->bi", "b, n, d", "b, d", "b, n"), Way::Fold);
        assert!(matches!(way_of("ijk,ljk->il", "n, d, e", "c, d, e", "n, c"), Way::Matrix(_)));
        assert!(matches!(way_of("ijk,lkj->il", "n, d, e", "c, e, d", "n, c"), Way::Contract(_)));
        // A convolution on windows, and its derivatives by the kernels and by the windows.
        assert!(matches!(way_of("ncipjq,ocpq->noij", "n, c, h, p, w, q", "o, c, p, q", "n, o, h, w"), Way::Contract(_)));
        assert!(matches!(way_of("ncipjq,noij->ocpq", "n, c, h, p, w, q", "n, o, h, w", "o, c, p, q"), Way::Contract(_)));
        assert!(matches!(way_of("ocpq,noij->ncipjq", "o, c, p, q", "n, o, h, w", "n, c, h, p, w, q"), Way::Contract(_)));
    }

    #[test]
    fn stacks_of_products() {
        let labels = |way: Way| match way {
            Way::Stack(p) => {
                let text = |labels: &[u8]| labels.iter().map(|l| char::from(b'a' + l)).collect::<String>();
                let exchanged = p.left.value.0 == 1;
                (text(&p.stack), text(&p.rows), text(&p.sums), text(&p.cols), exchanged)
            }
            other => panic!("{other:?}"),
        };
        let of = |spec: &str, a: &str, b: &str, out: &str| labels(way_of(spec, a, b, out));
        let as_text = |stack: &str, rows: &str, sums: &str, cols: &str, exchanged: bool| {
            (stack.to_owned(), rows.to_owned(), sums.to_owned(), cols.to_owned(), exchanged)
        };
        assert_eq!(of("bij,bjk->bik", "b, n, d", "b, d, c", "b, n, c"), as_text("b", "i", "j", "k", false));
        assert_eq!(of("bij,bjk->bki", "b, n, d", "b, d, c", "b, c, n"), as_text("b", "k", "j", "i", true));
        // An operand that all examples share.
        assert_eq!(of("ij,bjk->bik", "n, d", "b, d, c", "b, n, c"), as_text("b", "i", "j", "k", false));
        // The stack is an inner axis of an operand.
        assert_eq!(of("ibj,bjk->bik", "n, b, d", "b, d, c", "b, n, c"), as_text("b", "i", "j", "k", false));
        assert_eq!(of("ijk,jl->ilk", "n, d, e", "d, c", "n, c, e"), as_text("i", "l", "j", "k", true));
        assert_eq!(of("bijk,bljk->bil", "b, n, d, e", "b, c, d, e", "b, n, c"), as_text("b", "i", "jk", "l", false));
    }
}
