//! What changes arrays, and what only `for` goes through: the names, with what each lowers to.

/// Methods that change the array, or the part of one, that they are called on.
pub(super) const CHANGES: &[(&str, &str)] = &[
    ("assign", "`write` of the part"),
    ("fill", "`write` of one number everywhere"),
    ("scaled_add", "`add` of `a * x` to the part"),
    ("mapv_inplace", "`write` of the closure's operations on the part"),
    ("map_inplace", "as `mapv_inplace`, the closure changing the element that it is given"),
    ("zip_mut_with", "as `map_inplace`, beside the elements of another array"),
    ("swap", "two elements written in each other's place"),
    ("swap_axes", "`permute` of the array"),
    ("invert_axis", "`read` of the array from the end of the axis"),
    ("accumulate_axis_inplace", "a loop over the axis, in which the closure changes each part beside the one before"),
    ("for_each", "as `map_inplace`, on the elements of an `iter_mut` or a `Zip`"),
];

/// Methods that give a view through which an array is changed.
pub(super) const VIEWS: &[(&str, &str)] = &[
    ("view_mut", "all of the array"),
    ("row_mut", "the part at a position of the first axis"),
    ("column_mut", "the part at a position of the second axis"),
    ("index_axis_mut", "the part at a position of the axis"),
    ("slice_mut", "a window: ranges, steps, negative positions"),
    ("diag_mut", "the elements whose positions are equal"),
];

/// What only a `for` loop goes through, beside ranges and the iterators that lower everywhere.
pub(super) const LOOPS: &[(&str, &str)] = &[
    ("iter_mut", "each element, which the turn may change"),
    ("indexed_iter_mut", "likewise, with its position"),
    ("rows_mut", "each part along the last axis, which the turn may change"),
    ("columns_mut", "each part along the first axis, likewise"),
    ("outer_iter_mut", "the part at each position of the first axis, likewise"),
    ("axis_iter_mut", "the part at each position of an axis, likewise"),
];
