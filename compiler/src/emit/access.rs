//! Which element of an operand a loop reads at a position of its iteration space.
//!
//! A value takes part in a loop by an [`AxisMap`]: for each of its axes the axis of the space that runs along it. Broadcasts, permutations and
//! reshapes only change the map. At the end stand strides, symbolic products of dimensions, and axes of the space along which every operand
//! is contiguous are merged, so that most loops are flat.

use crate::ir::{Dim, Einsum, Index, Op, Shape, Stmt, Type};

/// For each axis of a value the axis of the space that runs along it; none for axes of length one that the space lacks.
pub(super) type AxisMap = Vec<Option<usize>>;

/// A product of dimensions without ones, in the order of the axes; the empty product is one.
pub(super) type Length = Vec<Dim>;

/// The product of some dimensions.
pub(super) fn length(dims: impl IntoIterator<Item = Dim>) -> Length {
    dims.into_iter().filter(|&d| d != Dim::Const(1)).collect()
}

/// Whether a reshape of a value changes only which axes of length one there are (or repeats a number that way), so that loops can look through it.
pub(super) fn is_plain_reshape(from: &Type, to: &[Dim]) -> bool {
    from.rank() == 0 || Shape::same_but_for_ones(&from.dims, to)
}

/// A value of `rank` axes that is the whole space.
pub(super) fn identity(rank: usize) -> AxisMap {
    (0..rank).map(Some).collect()
}

/// The maps of the operands of a statement that only looks at its operands element by element, given the map of its result. `types` are
/// those of the operands, `out` that of the result.
///
/// # Panics
/// If the statement is of another kind.
pub(super) fn operand_maps(stmt: &Stmt, types: &[&Type], out: &Type, map: &AxisMap) -> Vec<AxisMap> {
    match &stmt.op {
        Op::Const(..) => Vec::new(),
        Op::Elementwise(_) => types.iter().map(|t| if t.rank() == 0 { Vec::new() } else { map.clone() }).collect(),
        Op::Einsum(Einsum { lhs, rhs, out }) => {
            let axis = |label: &u8| map[out.iter().position(|l| l == label).expect("nothing is summed")];
            vec![lhs.iter().map(axis).collect(), rhs.iter().map(axis).collect()]
        }
        Op::Shape(Shape::Broadcast { axes, .. }) => vec![axes.iter().map(|&a| map[a]).collect()],
        Op::Shape(Shape::Permute { perm }) => {
            let mut operand = vec![None; perm.len()];
            for (&p, &axis) in perm.iter().zip(map) {
                operand[p] = axis;
            }
            vec![operand]
        }
        Op::Shape(Shape::Reshape { .. }) => {
            let mut longer = out.dims.iter().zip(map).filter(|&(&d, _)| d != Dim::Const(1)).map(|(_, &axis)| axis);
            let axis = |&d: &Dim| if d == Dim::Const(1) { None } else { longer.next().expect("the same dimensions but for ones") };
            vec![types[0].dims.iter().map(axis).collect()]
        }
        Op::Shape(Shape::Iota { .. }) => Vec::new(),
        Op::Index(Index::PutAlong { axis, .. }) => {
            let mut operand = map.clone();
            operand.remove(*axis);
            vec![operand; 2]
        }
        Op::Shape(Shape::Concat { .. } | Shape::Unfold { .. } | Shape::Fold { .. } | Shape::DimSize { .. } | Shape::BindDim { .. })
        | Op::Index(
            Index::Read(_) | Index::Add(_) | Index::Write(_) | Index::Gather { .. } | Index::ScatterAdd { .. } | Index::TakeAlong { .. },
        )
        | Op::Reduce(_)
        | Op::Linalg(_)
        | Op::Call(_)
        | Op::Control(_) => unreachable!("{:?} is not element-wise", stmt.op),
    }
}

/// An iteration space with its operands' strides, as simple as it gets.
#[derive(Clone, Debug)]
pub(super) struct Space {
    /// Length of each axis.
    pub(super) lengths: Vec<Length>,
    /// Number of axes in the first section; sections are never merged with each other.
    pub(super) n_first: usize,
    /// For each operand its stride along each axis; none where it has the same element all along.
    pub(super) strides: Vec<Vec<Option<Length>>>,
    /// For each axis of the original space the axis that it became; none for dropped ones of length one.
    pub(super) axes: Vec<Option<usize>>,
}

/// Simplifies the space with axes `dims`, of which the first `n_first` are a section of their own. Operands are given by their strides in memory and
/// their maps. Axes in `fixed` are needed by themselves, because the loop asks for the position along them.
pub(super) fn simplify(dims: &[Dim], n_first: usize, operands: &[(Vec<Length>, &AxisMap)], fixed: &[usize]) -> Space {
    let strides_of = |axis: usize| -> Vec<Option<Length>> {
        let stride = |(strides, map): &(Vec<Length>, &AxisMap)| {
            let along = map.iter().position(|&a| a == Some(axis))?;
            Some(strides[along].clone())
        };
        operands.iter().map(stride).collect()
    };
    let mut space = Space { lengths: Vec::new(), n_first: 0, strides: vec![Vec::new(); operands.len()], axes: Vec::new() };
    let mut last_fixed = true;
    for (axis, &dim) in dims.iter().enumerate() {
        if dim == Dim::Const(1) {
            space.axes.push(None);
            continue;
        }
        let strides = strides_of(axis);
        let this_fixed = fixed.contains(&axis);
        // A stride over the outer axis is a whole run along the inner one.
        let contiguous = strides.iter().zip(&space.strides).all(|(inner, all)| match (all.last(), inner) {
            (Some(None), None) => true,
            (Some(Some(outer)), Some(inner)) => *outer == length([dim].into_iter().chain(inner.iter().copied())),
            _ => false,
        });
        let new_section = axis >= n_first && space.lengths.len() == space.n_first;
        if contiguous && !last_fixed && !this_fixed && !new_section {
            let last = space.lengths.len() - 1;
            space.lengths[last] = length(space.lengths[last].iter().copied().chain([dim]));
            for (all, stride) in space.strides.iter_mut().zip(strides) {
                all[last] = stride;
            }
        } else {
            space.lengths.push(length([dim]));
            for (all, stride) in space.strides.iter_mut().zip(strides) {
                all.push(stride);
            }
            if axis < n_first {
                space.n_first += 1;
            }
        }
        last_fixed = this_fixed;
        space.axes.push(Some(space.lengths.len() - 1));
    }
    space
}

impl Space {
    /// Adds an axis of length one at the end, for loops that need one.
    pub(super) fn push_unit(&mut self) {
        self.lengths.push(Length::new());
        for strides in &mut self.strides {
            strides.push(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::row_major;
    use super::*;
    use crate::ir::DimId;

    const N: Dim = Dim::Sym(DimId(0));
    const D: Dim = Dim::Sym(DimId(1));

    #[test]
    fn contiguous_axes_merge() {
        let (x, id) = (row_major(&[N, D]), identity(2));
        let space = simplify(&[N, D], 0, &[(x.clone(), &id), (x, &id)], &[]);
        assert_eq!(space.lengths, [vec![N, D]]);
        assert_eq!(space.strides, [[Some(vec![])], [Some(vec![])]]);
        assert_eq!(space.axes, [Some(0), Some(0)]);
    }

    #[test]
    fn broadcasts_transposes_sections_and_positions_keep_axes_apart() {
        let (x, rows, id) = (|| row_major(&[N, D]), row_major(&[N]), identity(2));
        let space = simplify(&[N, D], 0, &[(x(), &id), (rows, &vec![Some(0)])], &[]);
        assert_eq!(space.strides, [[Some(vec![D]), Some(vec![])], [Some(vec![]), None]]);
        let space = simplify(&[D, N], 0, &[(x(), &vec![Some(1), Some(0)])], &[]);
        assert_eq!(space.strides, [[Some(vec![]), Some(vec![D])]]);
        assert_eq!(simplify(&[N, D], 1, &[(x(), &id)], &[]).lengths.len(), 2);
        assert_eq!(simplify(&[N, D], 0, &[(x(), &id)], &[1]).lengths.len(), 2);
        assert_eq!(simplify(&[N, D], 0, &[(x(), &id)], &[0]).lengths.len(), 2);
    }

    #[test]
    fn axes_of_length_one_go() {
        let (x, one) = (row_major(&[N, Dim::Const(1), D]), row_major(&[Dim::Const(1), D]));
        let space = simplify(&[N, Dim::Const(1), D], 0, &[(x, &identity(3)), (one, &vec![None, Some(2)])], &[]);
        assert_eq!(space.lengths, [vec![N], vec![D]]);
        assert_eq!(space.strides, [[Some(vec![D]), Some(vec![])], [None, Some(vec![])]]);
        assert_eq!(space.axes, [Some(0), None, Some(1)]);
    }
}
