#[bilevel(hypergradient = unrolled(mode = mixed, steps = 100, memory = "64 KiB"), inner = momentum(log_rate.exp(), momentum = 0.9))]
mod configured {
    #[inner(minimize = w)]
    fn train(w: &f64, log_rate: &f64) -> f64 {
        w * w + log_rate * w
    }

    #[outer(minimize = log_rate)]
    fn validate(w: &f64) -> f64 {
        (w - 1.0).powi(2)
    }
}
