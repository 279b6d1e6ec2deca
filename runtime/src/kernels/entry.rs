//! Checks at the entry of generated code, so that nothing after them can fail.

use crate::Error;
use crate::error::Axis;

/// The length of a dimension that may have any.
pub const ANY: Option<usize> = None;

/// The length of a dimension that must be `n`.
#[must_use]
pub const fn fixed(n: usize) -> Option<usize> {
    Some(n)
}

/// The lengths of the symbolic dimensions, from the shapes of the arguments.
///
/// Each array is given by its name, its shape, and the number of the dimension of each axis. `known` holds the lengths that are prescribed.
///
/// # Errors
/// If two axes of one dimension have different lengths, or an axis has not the length prescribed.
pub fn dims<const N: usize>(
    function: &'static str,
    known: [Option<usize>; N],
    arrays: &[(&'static str, &[usize], &[usize])],
) -> Result<[usize; N], Error> {
    let mut lengths = known;
    // Where each length was first seen.
    let mut seen: [Option<(usize, usize)>; N] = [None; N];
    let axis = |(array, axis): (usize, usize)| Axis { name: arrays[array].0, shape: arrays[array].1.to_vec(), axis };
    for (array, &(name, shape, numbers)) in arrays.iter().enumerate() {
        for (k, (&length, &number)) in shape.iter().zip(numbers).enumerate() {
            match lengths[number] {
                Some(other) if other != length => {
                    return Err(match seen[number] {
                        Some(first) => Error::DimensionMismatch { first: axis(first), second: axis((array, k)) },
                        None => {
                            let expected = shape.iter().zip(numbers).map(|(&have, &n)| known[n].unwrap_or(have)).collect();
                            Error::ShapeMismatch { name, shape: shape.to_vec(), expected_by: function, expected }
                        }
                    });
                }
                Some(_) => {}
                None => lengths[number] = Some(length),
            }
            seen[number].get_or_insert((array, k));
        }
    }
    Ok(lengths.map(|length| length.unwrap_or_else(|| unreachable!("every dimension is that of some axis"))))
}

/// [`dims`] for a companion function, which like `ndarray` panics on shapes that do not fit.
///
/// # Panics
/// With the function's name and the message of the error.
#[track_caller]
pub fn dims_or_panic<const N: usize>(
    function: &'static str,
    known: [Option<usize>; N],
    arrays: &[(&'static str, &[usize], &[usize])],
) -> [usize; N] {
    match dims(function, known, arrays) {
        Ok(lengths) => lengths,
        Err(error) => panic!("`{function}`: {error}"),
    }
}

/// Fails if an array has no elements.
///
/// # Errors
/// [`Error::Empty`] with the name and the shape.
pub fn check_nonempty(name: &'static str, shape: &[usize]) -> Result<(), Error> {
    if shape.contains(&0) { Err(Error::Empty { name, shape: shape.to_vec() }) } else { Ok(()) }
}

/// Fails if an index of an array is not below `limit`.
///
/// # Errors
/// [`Error::IndexOutOfRange`] with the name, the first such index and its position.
pub fn check_indices(name: &'static str, indices: &[usize], limit: usize) -> Result<(), Error> {
    match indices.iter().position(|&index| index >= limit) {
        Some(position) => Err(Error::IndexOutOfRange { name, position: Some(position), value: indices[position] as i128, limit }),
        None => Ok(()),
    }
}

/// Fails if an index that is a number of its own is not below `limit`.
///
/// # Errors
/// [`Error::IndexOutOfRange`] with the name and the index.
pub fn check_index(name: &'static str, index: usize, limit: usize) -> Result<(), Error> {
    if index < limit { Ok(()) } else { Err(Error::IndexOutOfRange { name, position: None, value: index as i128, limit }) }
}

/// Fails if a loop of `turns` turns reads beyond the end of an axis.
///
/// # Errors
/// [`Error::ShapeMismatch`] with the name, the shape, and the shape that would be long enough.
pub fn check_turns(function: &'static str, name: &'static str, shape: &[usize], axis: usize, turns: usize) -> Result<(), Error> {
    if turns <= shape[axis] {
        return Ok(());
    }
    let mut expected = shape.to_vec();
    expected[axis] = turns;
    Err(Error::ShapeMismatch { name, shape: shape.to_vec(), expected_by: function, expected })
}

/// Requires a condition of a companion function, which like the function itself panics.
///
/// # Panics
/// With the function's name and the message, if the condition does not hold.
#[track_caller]
#[inline]
pub fn check_or_panic(holds: bool, function: &'static str, message: &'static str) {
    assert!(holds, "`{function}`: {message}");
}

/// The first check of a problem's kernels that did not hold. Kernels have no way to give an error, so they leave it here and go on.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailedCheck(Option<(&'static str, &'static str)>);

impl FailedCheck {
    /// Requires a condition.
    #[inline]
    pub fn require(&mut self, holds: bool, function: &'static str, message: &'static str) {
        if !holds {
            self.0.get_or_insert((function, message));
        }
    }

    /// The error for what did not hold since the last call of this function.
    pub fn take(&mut self) -> Option<Error> {
        self.0.take().map(|(function, message)| Error::CheckFailed { function, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_unified() {
        let got = dims("f", [ANY; 3], &[("x", &[5, 3], &[0, 1]), ("w", &[3, 2], &[1, 2]), ("y", &[5], &[0])]);
        assert_eq!(got, Ok([5, 3, 2]));
        assert_eq!(dims("f", [ANY, fixed(4)], &[("x", &[2, 4], &[0, 1])]), Ok([2, 4]));
    }

    #[test]
    fn mismatches_name_both_arrays() {
        let error = dims("f", [ANY; 3], &[("x", &[5, 3], &[0, 1]), ("w", &[4, 2], &[1, 2])]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("axis 1 of `x` (shape [5, 3])") && text.contains("axis 0 of `w` (shape [4, 2])"), "{text}");
        let text = dims("f", [ANY, fixed(4)], &[("x", &[2, 3], &[0, 1])]).unwrap_err().to_string();
        assert!(text.contains("`x` has shape [2, 3]") && text.contains("`f` requires [2, 4]"), "{text}");
        // Two axes of one array.
        assert!(dims("f", [ANY], &[("x", &[2, 3], &[0, 0])]).is_err());
    }

    #[test]
    fn empty_arrays_and_bad_indices_are_named() {
        assert!(check_nonempty("x", &[2, 0]).unwrap_err().to_string().contains("`x`"));
        assert_eq!(check_nonempty("x", &[]), Ok(()));
        assert!(check_indices("y", &[0, 9, 10], 10).unwrap_err().to_string().contains("`y` contains the index 10 at position 2"));
        assert_eq!(check_indices("y", &[0, 9], 10), Ok(()));
        assert!(check_index("k", 3, 3).is_err());
        assert_eq!(check_turns("f", "y", &[3, 2], 1, 2), Ok(()));
        let text = check_turns("f", "y", &[3, 2], 1, 4).unwrap_err().to_string();
        assert!(text.contains("`y` has shape [3, 2]") && text.contains("`f` requires [3, 4]"), "{text}");
    }
}
