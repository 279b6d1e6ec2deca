/// Huber's loss of a scaled vector.
#[differentiable]
pub fn huber(scale: f64, x: &Array1<f64>, delta: f64) -> f64 {
    let r = (x * scale).sum();
    if r.abs() <= delta { 0.5 * r * r } else { delta * (r.abs() - 0.5 * delta) }
}
