//! Lowering: Rust source text to IR text.

mod common;

use common::lowered;

#[track_caller]
fn lowers_to(source: &str, expected: &str) {
    let text = lowered(source).func.to_string();
    assert_eq!(text.trim(), expected.trim(), "\n{text}");
}

#[test]
fn training_loss() {
    lowers_to(
        "fn train(w: &Array2<f64>, log_l2: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
            let penalty = 0.5 * (log_l2.exp() * w * w).sum();
            cross_entropy(&x.dot(w), y) + penalty
        }",
        "
func train(%w: f64[w_rows, w_cols], %log_l2: f64[w_rows, w_cols], %x: f64[x_rows, w_rows], %y: usize[x_rows]) -> (%15) {
  %1: f64[w_rows, w_cols] = exp(%log_l2)  // `log_l2.exp()`
  %2: f64[w_rows, w_cols] = mul(%1, %w)  // `log_l2.exp() * w`
  %3: f64[w_rows, w_cols] = mul(%2, %w)  // `log_l2.exp() * w * w`
  %4: f64 = reduce_sum[0, 1](%3)  // `(log_l2.exp() * w * w).sum()`
  %5: f64 = 0.5  // `0.5`
  %penalty: f64 = mul(%5, %4)  // `0.5 * (log_l2.exp() * w * w).sum()`
  %6: f64[x_rows, w_cols] = einsum[ij,jk->ik](%x, %w)  // `x.dot(w)`
  %7: f64[x_rows] = log_sum_exp[1](%6)  // a part of `cross_entropy(&x.dot(w), y)`
  %8: f64[x_rows] = take_along[1](%6, %y)  // a part of `cross_entropy(&x.dot(w), y)`
  %9: f64[x_rows] = sub(%7, %8)  // a part of `cross_entropy(&x.dot(w), y)`
  %10: f64 = reduce_sum[0](%9)  // a part of `cross_entropy(&x.dot(w), y)`
  %11: usize = dim_size[x_rows]()  // a part of `cross_entropy(&x.dot(w), y)`
  %12: f64 = cast(%11)  // a part of `cross_entropy(&x.dot(w), y)`
  %13: f64 = powi[-1](%12)  // a part of `cross_entropy(&x.dot(w), y)`
  %14: f64 = mul(%10, %13)  // `cross_entropy(&x.dot(w), y)`
  %15: f64 = add(%14, %penalty)  // `cross_entropy(&x.dot(w), y) + penalty`
}",
    );
}
