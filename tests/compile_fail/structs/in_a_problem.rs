use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    #[derive(Clone, Params)]
    pub struct Net {
        pub w: Array1<f64>,
        pub width: usize,
    }

    #[derive(Clone)]
    pub struct Plain {
        pub x: Array1<f64>,
    }

    #[inner(minimize = net)]
    fn train(net: &Net, l: &f64, n: usize) -> f64 {
        let Net { w, depth: _, .. } = net;
        net.bias * l + w.sum() * net.width as f64 + net.norm()
    }

    #[outer(minimize = l)]
    fn validate(net: &Net, plain: &Plain) -> f64 {
        let again = Net { w: 1.0, width: 3 };
        let other = Dense { w: again.w };
        net.w.dot(&plain.x)
    }
}

fn main() {}
