//! What to write instead of methods that do not lower, and names that resemble others.

/// Methods that people look for and that have another spelling here.
pub(super) const INSTEAD: &[(&str, &str)] = &[
    ("mapv_inplace", "write `let y = x.mapv(..);`"),
    ("map_inplace", "write `let y = x.mapv(..);`"),
    ("mapv_into_any", "write `mapv`"),
    ("map_mut", "write `mapv`"),
    ("par_map_inplace", "write `mapv`; generated code decides itself how its loops run"),
    ("par_mapv_inplace", "write `mapv`; generated code decides itself how its loops run"),
    ("par_for_each", "write `map_collect`; generated code decides itself how its loops run"),
    ("par_map_collect", "write `map_collect`; generated code decides itself how its loops run"),
    ("par_fold", "write `fold`; generated code decides itself how its loops run"),
    ("into_par_iter", "write `iter`; generated code decides itself how its loops run"),
    ("par_iter", "write `iter`; generated code decides itself how its loops run"),
    ("zip_mut_with", "write `Zip::from(&a).and(&b).map_collect(|&a, &b| ..)`"),
    ("scaled_add", "write `x += &(a * &y)`"),
    ("get", "write `x[i]` or `x[[i, j]]`, which panics where `get` gives `None`"),
    ("get_mut", "write `x[i] = ..`"),
    ("uget", "write `x[i]` or `x[[i, j]]`"),
    ("first", "write `x[0]`"),
    ("last", "write `x[x.len() - 1]`"),
    ("as_slice", "read the array itself: `x[i]`, `x.iter()`"),
    ("as_ptr", "read the array itself: `x[i]`, `x.iter()`"),
    ("into_raw_vec", "keep the array"),
    ("into_dyn", "keep the number of axes: it must be known when the program is compiled"),
    ("into_dimensionality", "annotate the array that it comes from: its number of axes must be known when the program is compiled"),
    ("into_shape", "write `into_shape_with_order`, which says how the elements are ordered"),
    ("is_empty", "write `x.len() == 0`"),
    ("is_square", "write `x.nrows() == x.ncols()`"),
    ("strides", "leave it out: derivatives do not depend on how an array lies in memory"),
    ("is_standard_layout", "leave it out: derivatives do not depend on how an array lies in memory"),
    ("partition", "sort outside, and pass the positions as a parameter of type `&Array1<usize>`"),
    ("sort_unstable", "sort outside, and pass the positions as a parameter of type `&Array1<usize>`"),
    ("sort_by", "sort outside, and pass the positions as a parameter of type `&Array1<usize>`"),
    ("quantile_mut", "sort outside, and pass the positions as a parameter of type `&Array1<usize>`"),
    ("unwrap_or", "write `.unwrap()`: empty data is refused at the entry"),
    ("unwrap_or_default", "write `.unwrap()`: empty data is refused at the entry"),
    ("inv", "write `bilevel::linalg::inverse(&x)`, or better `solve`"),
    ("solve", "write `bilevel::linalg::solve(&a, &b)`"),
    ("det", "write `bilevel::linalg::log_det(&x)`, and `.exp()` if it must be"),
    ("cholesky", "write `bilevel::linalg::cholesky(&x)`"),
    ("svd", "write it with `bilevel::linalg::eigh` of `x.t().dot(&x)`"),
    ("total_cmp", "write `<` or `==`"),
    ("partial_cmp", "write `<` or `==`"),
    ("is_sign_negative", "write `x < 0.0`"),
    ("is_sign_positive", "write `x >= 0.0`"),
    ("div_euclid", "write `((x - x.rem_euclid(y)) / y).round()`; its derivative is zero"),
    ("to_bits", "pass what it is for as a parameter"),
    ("sin_cos", "write `(x.sin(), x.cos())`"),
    ("gamma", "it is not differentiable here; pass its value as a parameter if it does not depend on a variable"),
    ("ln_gamma", "it is not differentiable here; pass its value as a parameter if it does not depend on a variable"),
    ("min_by", "write `.fold(f64::INFINITY, f64::min)` on numbers"),
    ("max_by", "write `.fold(f64::NEG_INFINITY, f64::max)` on numbers"),
    ("to_vec", "keep the array: it has `len`, `iter` and `[i]` as well"),
    ("into_iter_sorted", "sort outside, and pass the positions as a parameter of type `&Array1<usize>`"),
    ("multi_slice_mut", "write one `slice_mut(s![..])` after the other"),
    ("argmax", "write `argmax(&x)`, the function of this crate"),
    ("argmin", "write `argmin(&x)`, the function of this crate"),
    ("cumprod", "write a `for` loop that carries the product"),
    ("diff", "write `&x.slice(s![1..]) - &x.slice(s![..-1])`"),
    ("norm_l2", "write `norm(&x)`"),
    ("norm_l1", "write `x.abs().sum()`"),
    ("chunks", "write `exact_chunks`, or `axis_chunks_iter`"),
    ("slice_axis", "write `x.slice(s![..])` with `..` for the other axes"),
    ("slice_collapse", "write `let y = x.slice(s![..]);`"),
    ("invert_axis", "write `y.invert_axis(..);` as a statement, where `y` is declared with `let mut`, or `x.slice(s![..;-1])`"),
    ("swap_axes", "write `y.swap_axes(..);` as a statement, where `y` is declared with `let mut`, or `x.permuted_axes([1, 0])`"),
    ("accumulate_axis_inplace", "write it as a statement, where the array is declared with `let mut`"),
    ("merge_axes", "write `into_shape_with_order`"),
    ("assign_to", "write `let` with the new value"),
];

/// Methods of iterators that do not lower.
pub(super) const INSTEAD_ON_ITERATORS: &[(&str, &str)] = &[
    ("filter_map", "multiply by zero, or write `if … { … } else { 0.0 }`, for what is left out"),
    ("take_while", "write a `for` loop over a range"),
    ("skip_while", "write a `for` loop over a range"),
    ("flat_map", "write nested `for` loops"),
    ("flatten", "write nested `for` loops"),
    ("scan", "write a `for` loop that changes a `let mut`, or `accumulate_axis_inplace`"),
    ("for_each", "write a `for` loop"),
    ("try_fold", "write `fold`"),
    ("reduce", "write `fold` with a first value"),
    ("chain", "add the two sums, or write `concatenate!`"),
    ("windows", "iterate over two parts: `x.slice(s![1..]).iter().zip(x.slice(s![..-1]).iter())`"),
    ("peekable", "write a `for` loop over a range"),
    ("max", "write `.fold(f64::NEG_INFINITY, |a, &b| a.max(b))`"),
    ("min", "write `.fold(f64::INFINITY, |a, &b| a.min(b))`"),
    ("max_by", "write `.fold(f64::NEG_INFINITY, |a, &b| a.max(b))`, or `argmax(&x)` for the position"),
    ("min_by", "write `.fold(f64::INFINITY, |a, &b| a.min(b))`, or `argmin(&x)` for the position"),
    ("position", "write `argmax` or `argmin`, or pass the position as a parameter"),
    ("next", "write `x[0]`"),
    ("last", "write `x[x.len() - 1]`"),
    ("nth", "write `x[k]`"),
];

/// The known name that is closest to one that is not known, if it is close; among equals one of the same length.
pub(super) fn closest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let limit = 1 + name.len() / 4;
    let measured = candidates.map(|c| (distance(name, c), c.len().abs_diff(name.len()), c));
    measured.filter(|&(d, ..)| d <= limit).min().map(|(.., c)| c)
}

/// Number of insertions, deletions, substitutions and exchanges of neighbours between two names.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // The distances between all beginnings of the two.
    let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            d[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let substituted = d[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let changed = substituted.min(d[i - 1][j] + 1).min(d[i][j - 1] + 1);
                if exchanged { changed.min(d[i - 2][j - 2] + 1) } else { changed }
            };
        }
    }
    d[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::spellings::method_names;
    use super::closest;

    #[test]
    fn suggestions_are_close() {
        assert_eq!(closest("tahn", method_names()), Some("tanh"));
        assert_eq!(closest("sum_axes", method_names()), Some("sum_axis"));
        assert_eq!(closest("singular_value_decomposition", method_names()), None);
    }
}
