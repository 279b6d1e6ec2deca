//! Convolution and pooling of images.
//!
//! The compiler knows each as a composition on sliding windows, so that its derivatives of any order are derived and not written by hand.

use ndarray::{Array4, ArrayRef, Ix4, s};

use crate::Float;
use crate::kernels::{contract, elements};

/// A number for the height and the width of something: one for both, or `[height, width]`.
pub trait Sides: Copy {
    /// Height and width.
    fn sides(self) -> [usize; 2];
}

impl Sides for usize {
    fn sides(self) -> [usize; 2] {
        [self, self]
    }
}

impl Sides for [usize; 2] {
    fn sides(self) -> [usize; 2] {
        self
    }
}

/// Convolution as networks have it, which is cross-correlation: `y[n, o, i, j] = Σ_{c, p, q} x[n, c, i s + p − z, j s + q − z] k[o, c, p, q]` with stride `s` and
/// padding `z`, where `x` is zero outside of the image.
///
/// Shapes: `images` of `(n, c, h, w)`, `kernels` of `(o, c, p, q)`; the result has `(n, o, h', w')` with `h' = (h + 2z − p) / s + 1`, rounded down, and `w'`
/// likewise. Stride and padding are each a number for both sides or `[height, width]`; inside of differentiated functions they are literals or constants. A bias is
/// `+ &b.insert_axis(Axis(1)).insert_axis(Axis(2))`, with `b` of `(o)`.
///
/// The cost is `2 n o h' w' c p q` operations, and as many for the derivative by the images and for that by the kernels. The images are not copied for each
/// position of the kernels.
///
/// # Panics
/// If the channels differ, a kernel has no elements or does not fit on the padded images, or a stride is zero.
///
/// ```
/// use bilevel_runtime::functions::conv2d;
/// use ndarray::{Array4, array};
/// let image = Array4::from_shape_vec((1, 1, 2, 3), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
/// let kernel = Array4::from_elem((1, 1, 2, 2), 1.0);
/// let y = conv2d(&image, &kernel, 1, 0);
/// assert_eq!(y.into_raw_vec_and_offset().0, [12.0, 16.0]);
/// assert_eq!(conv2d(&image, &kernel, [1, 2], [0, 1]).dim(), (1, 1, 1, 2));
/// ```
pub fn conv2d<T: Float>(images: &ArrayRef<T, Ix4>, kernels: &ArrayRef<T, Ix4>, stride: impl Sides, padding: impl Sides) -> Array4<T> {
    convolved("conv2d", images, kernels, stride.sides(), padding.sides(), [1, 1])
}

/// [`conv2d`] with kernels whose elements lie `dilation` apart on the images: `y[n, o, i, j] = Σ_{c, p, q} x[n, c, i s + p d − z, j s + q d − z] k[o, c, p, q]`, and
/// `h' = (h + 2z − d (p − 1) − 1) / s + 1`.
///
/// # Panics
/// Like [`conv2d`], and if a dilation is zero.
///
/// ```
/// use bilevel_runtime::functions::dilated_conv2d;
/// use ndarray::Array4;
/// let image = Array4::from_shape_fn((1, 1, 1, 5), |(.., j)| j as f64);
/// let y = dilated_conv2d(&image, &Array4::from_elem((1, 1, 1, 2), 1.0), 1, 0, 3);
/// assert_eq!(y.into_raw_vec_and_offset().0, [3.0, 5.0]);
/// ```
pub fn dilated_conv2d<T: Float>(
    images: &ArrayRef<T, Ix4>,
    kernels: &ArrayRef<T, Ix4>,
    stride: impl Sides,
    padding: impl Sides,
    dilation: impl Sides,
) -> Array4<T> {
    convolved("dilated_conv2d", images, kernels, stride.sides(), padding.sides(), dilation.sides())
}

fn convolved<T: Float>(
    function: &str,
    images: &ArrayRef<T, Ix4>,
    kernels: &ArrayRef<T, Ix4>,
    steps: [usize; 2],
    padding: [usize; 2],
    dilations: [usize; 2],
) -> Array4<T> {
    let ((n, c, h, w), (o, k_c, p, q)) = (images.dim(), kernels.dim());
    assert!(
        c == k_c,
        "{function}: images of the shape {:?} have {c} channels, kernels of the shape {:?} have {k_c}",
        images.shape(),
        kernels.shape()
    );
    let [top, left] = padding;
    let rows = count(function, h, p, top, steps[0], dilations[0]);
    let columns = count(function, w, q, left, steps[1], dilations[1]);
    let padded;
    let (h, w) = (h + 2 * top, w + 2 * left);
    let (x, k) = (
        if padding == [0, 0] {
            elements(images)
        } else {
            let mut wider = Array4::zeros((n, c, h, w));
            wider.slice_mut(s![.., .., top..h - top, left..w - left]).assign(images);
            padded = wider;
            elements(&padded)
        },
        elements(kernels),
    );
    let mut y = Array4::zeros((n, o, rows, columns));
    let out = y.as_slice_mut().expect("a new array is contiguous");
    let x_strides = [c * h * w, 0, steps[0] * w, steps[1], h * w, dilations[0] * w, dilations[1]];
    contract(out, [n, o, rows, columns], [c, p, q], &x, x_strides, &k, [0, c * p * q, 0, 0, p * q, q, 1]);
    y
}

/// The largest element of each window of `size` elements; windows lie side by side, and rows and columns that are left over do not count.
///
/// Shapes: `x` of `(n, c, h, w)`; the result has `(n, c, h / size, w / size)`. The size is a number for both sides or `[height, width]`; inside of
/// differentiated functions it is a literal or a constant. Elements that tie share the derivative equally. One comparison for each element.
///
/// # Panics
/// If a window has no elements or is larger than the image.
///
/// ```
/// use bilevel_runtime::functions::max_pool2d;
/// use ndarray::Array4;
/// let x = Array4::from_shape_fn((1, 1, 2, 5), |(_, _, i, j)| (5 * i + j) as f64);
/// assert_eq!(max_pool2d(&x, 2).into_raw_vec_and_offset().0, [6.0, 8.0]);
/// ```
pub fn max_pool2d<T: Float>(x: &ArrayRef<T, Ix4>, size: impl Sides) -> Array4<T> {
    pooled("max_pool2d", x, size.sides(), T::neg_infinity(), |a, b| if b > a || b.is_nan() { b } else { a })
}

/// The mean of each window of `size` elements; otherwise like [`max_pool2d`].
///
/// # Panics
/// If a window has no elements or is larger than the image.
///
/// ```
/// use bilevel_runtime::functions::avg_pool2d;
/// use ndarray::Array4;
/// let x = Array4::from_shape_fn((1, 1, 2, 5), |(_, _, i, j)| (5 * i + j) as f64);
/// assert_eq!(avg_pool2d(&x, [2, 2]).into_raw_vec_and_offset().0, [3.0, 5.0]);
/// ```
pub fn avg_pool2d<T: Float>(x: &ArrayRef<T, Ix4>, size: impl Sides) -> Array4<T> {
    let [height, width] = size.sides();
    let share = T::from_f64((height * width) as f64).recip();
    pooled("avg_pool2d", x, [height, width], T::zero(), |a, b| a + b).mapv_into(|sum| sum * share)
}

fn pooled<T: Float>(function: &str, x: &ArrayRef<T, Ix4>, [height, width]: [usize; 2], start: T, join: impl Fn(T, T) -> T) -> Array4<T> {
    let (n, c, h, w) = x.dim();
    let rows = count(function, h, height, 0, height, 1);
    let columns = count(function, w, width, 0, width, 1);
    Array4::from_shape_fn((n, c, rows, columns), |(n, c, i, j)| {
        let window = x.slice(s![n, c, i * height..(i + 1) * height, j * width..(j + 1) * width]);
        window.fold(start, |a, &b| join(a, b))
    })
}

/// How many windows there are on an axis of length `n`.
fn count(function: &str, n: usize, len: usize, padding: usize, step: usize, dilation: usize) -> usize {
    assert!(len > 0, "{function}: windows have no elements");
    assert!(step > 0 && dilation > 0, "{function}: a stride or a dilation is zero");
    let (padded, reach) = (n + 2 * padding, dilation * (len - 1) + 1);
    assert!(reach <= padded, "{function}: windows that reach over {reach} positions do not fit on a padded axis of {padded}");
    (padded - reach) / step + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    fn images(n: usize, c: usize, h: usize, w: usize) -> Array4<f64> {
        Array4::from_shape_fn((n, c, h, w), |(a, b, i, j)| (1.1 * a as f64 + 0.4 * b as f64 - 0.6 * i as f64 + 1.7 * (i * j) as f64).cos())
    }

    /// The definition, one element after the other.
    fn naive(x: &Array4<f64>, k: &Array4<f64>, s: [usize; 2], z: [usize; 2], d: [usize; 2]) -> Array4<f64> {
        let ((n, c, h, w), (o, _, p, q)) = (x.dim(), k.dim());
        let size = |n: usize, len: usize, side: usize| (n + 2 * z[side] - d[side] * (len - 1) - 1) / s[side] + 1;
        Array4::from_shape_fn((n, o, size(h, p, 0), size(w, q, 1)), |(n, o, i, j)| {
            let mut sum = 0.0;
            for (c, p, q) in ndarray::indices((c, p, q)) {
                let (row, column) = ((i * s[0] + p * d[0]).wrapping_sub(z[0]), (j * s[1] + q * d[1]).wrapping_sub(z[1]));
                sum += x.get([n, c, row, column]).copied().unwrap_or(0.0) * k[[o, c, p, q]];
            }
            sum
        })
    }

    #[test]
    fn convolutions_are_their_definition() {
        for (n, c, h, w, o, p, q) in
            [(1, 1, 1, 1, 1, 1, 1), (2, 3, 5, 6, 4, 3, 2), (3, 5, 9, 8, 18, 3, 3), (0, 2, 4, 4, 3, 3, 3), (2, 1, 7, 7, 40, 3, 3)]
        {
            let (x, k) = (images(n, c, h, w), images(o, c, p, q).sin());
            for (s, z, d) in [([1, 1], [0, 0], [1, 1]), ([2, 1], [1, 2], [1, 1]), ([1, 3], [2, 2], [2, 1])] {
                let (found, expected) = (dilated_conv2d(&x, &k, s, z, d), naive(&x, &k, s, z, d));
                assert_eq!(found.shape(), expected.shape());
                assert!((found - expected).iter().all(|off| off.abs() < 1e-13), "{:?} {:?} {s:?} {z:?} {d:?}", x.shape(), k.shape());
            }
        }
    }

    #[test]
    #[should_panic(expected = "conv2d: images of the shape [1, 2, 3, 3] have 2 channels, kernels of the shape [1, 3, 2, 2] have 3")]
    fn channels_are_checked() {
        let _ = conv2d(&images(1, 2, 3, 3), &images(1, 3, 2, 2), 1, 0);
    }

    #[test]
    #[should_panic(expected = "conv2d: windows that reach over 4 positions do not fit on a padded axis of 3")]
    fn kernels_must_fit() {
        let _ = conv2d(&images(1, 2, 3, 3), &images(1, 2, 4, 2), 1, 0);
    }

    #[test]
    #[should_panic(expected = "max_pool2d: windows have no elements")]
    fn windows_have_elements() {
        let _ = max_pool2d(&images(1, 2, 3, 3), 0);
    }

    #[test]
    fn pools_skip_what_is_left_over() {
        let x = images(2, 3, 7, 5);
        let (largest, mean) = (max_pool2d(&x, [3, 2]), avg_pool2d(&x, [3, 2]));
        assert_eq!((largest.dim(), mean.dim()), ((2, 3, 2, 2), (2, 3, 2, 2)));
        let window = x.slice(s![1, 2, 3..6, 2..4]);
        assert_eq!(largest[[1, 2, 1, 1]], window.fold(f64::MIN, |a, &b| a.max(b)));
        assert!((mean[[1, 2, 1, 1]] - window.mean().unwrap()).abs() < 1e-15);
    }
}
