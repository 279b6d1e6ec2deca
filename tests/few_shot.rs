//! The core of the example `few_shot` at small sizes, on characters made up here.

#[path = "../examples/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/few_shot/episodes.rs"]
mod episodes;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/few_shot/networks.rs"]
mod networks;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/few_shot/training.rs"]
mod training;

use std::path::PathBuf;

use bilevel::meta::{Maml, MetaAlgorithm, MetaSgd, Task, adapt, meta_gradient};
use bilevel::prelude::*;
use common::random::Random;
use episodes::{Episode, HeldOut, Omniglot, PIXELS, SIDE, Sizes};
use networks::{Network, convolutions, dense};
use training::{Algorithms, Data, Decay, Plan};

/// Characters of the first alphabet, which is learned from, and of the second, which is held out.
const CHARACTERS: [usize; 2] = [9, 6];

/// Whether a pixel of a made-up image has ink: five bars of the character, where the drawer has moved them.
fn ink(character: usize, drawer: usize, row: usize, column: usize) -> bool {
    let (row, column) = (row + drawer % 5, column + drawer / 5);
    (0..5).any(|bar| {
        let place = (character * 7 + bar * 11 + character * bar * 5) % 26;
        if (character + bar).is_multiple_of(2) {
            row / 2 == place / 2 && column > place
        } else {
            column / 2 == place / 2 && row < 4 + place
        }
    })
}

/// Writes the made-up characters in the form of Omniglot to a folder of their own.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("bilevel-few-shot-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut bits = Vec::new();
    for character in 0..CHARACTERS[0] + CHARACTERS[1] {
        for drawer in 0..20 {
            for first in (0..PIXELS).step_by(8) {
                let bit = |p: usize| u8::from(ink(character, drawer, p / SIDE, p % SIDE));
                bits.push((first..first + 8).fold(0, |byte, p| byte << 1 | bit(p)));
            }
        }
    }
    std::fs::write(folder.join("omniglot28.bin"), bits).unwrap();
    let names = serde_json::json!({ "alphabets": [
        { "name": "known", "split": "background", "first_class": 0, "num_classes": CHARACTERS[0] },
        { "name": "new", "split": "evaluation", "first_class": CHARACTERS[0], "num_classes": CHARACTERS[1] },
    ] });
    std::fs::write(folder.join("omniglot28.json"), names.to_string()).unwrap();
    folder
}

fn data(name: &str) -> Data {
    let folder = folder(name);
    let omniglot = Omniglot::read(&folder).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    let [known, held_out] = omniglot.classes(HeldOut::Alphabets, true, &mut Random::new(0, "characters"));
    Data { omniglot, known, held_out }
}

const SMALL: Sizes = Sizes { ways: 3, shots: 1, queries: 2 };

#[test]
fn images_are_read_and_turned() {
    let Data { omniglot, known, held_out } = data("read");
    assert_eq!((known.len(), held_out.len()), (4 * CHARACTERS[0], CHARACTERS[1]));
    // All images of a task are images of the data, each turned like the others of its class, and none is in it twice.
    let episodes = SMALL.draw_many(20, &omniglot, &known, Random::new(3, "tasks"));
    let found = |image: &[f32]| -> (usize, usize, usize) {
        let at = |character, drawer, turns: usize, p: usize| {
            // A quarter turn takes the last column to the first row.
            let (row, column) = (0..turns).fold((p / SIDE, p % SIDE), |(row, column), _| (column, SIDE - 1 - row));
            ink(character, drawer, row, column)
        };
        let all = (0..CHARACTERS[0]).flat_map(|c| (0..20).flat_map(move |d| (0..4).map(move |t| (c, d, t))));
        let mut fits = all.filter(|&(c, d, t)| image.iter().enumerate().all(|(p, &x)| x == f32::from(u8::from(at(c, d, t, p)))));
        fits.next().expect("an image of the data")
    };
    let mut all_turns = [0; 4];
    for Episode { support, query } in &episodes {
        assert_eq!((support.images.dim(), query.images.dim()), ((3, PIXELS), (6, PIXELS)));
        assert_eq!((&support.labels, &query.labels), (&array![0, 1, 2], &array![0, 0, 1, 1, 2, 2]));
        let [of_support, of_query] =
            [support, query].map(|set| set.images.rows().into_iter().map(|row| found(row.as_slice().unwrap())).collect::<Vec<_>>());
        for (&(character, drawer, turns), queries) in of_support.iter().zip(of_query.chunks(2)) {
            assert!(queries.iter().all(|&(c, d, t)| c == character && t == turns && d != drawer));
            all_turns[turns] += 1;
        }
    }
    assert!(all_turns.iter().all(|&n| n > 0), "{all_turns:?}");
    // The same tasks for the same numbers, others for others.
    let images = |seed| SMALL.draw_many(1, &omniglot, &known, Random::new(seed, "tasks")).remove(0).support.images;
    assert_eq!(images(3), episodes[0].support.images);
    assert!(images(4) != images(3));
}

/// The example's blocks in double precision, on images small enough for differences.
#[allow(unreachable_pub, reason = "the struct is public as `Problem` is")]
#[bilevel]
mod exact {
    use super::*;

    #[derive(Params, Clone, Debug)]
    pub struct Net {
        pub kernels: (Array4<f64>, Array4<f64>),
        pub gamma: (Array1<f64>, Array1<f64>),
        pub beta: (Array1<f64>, Array1<f64>),
        pub head: Array2<f64>,
        pub bias: Array1<f64>,
    }

    pub fn logits(net: &Net, x: &Array2<f64>) -> Array2<f64> {
        let n = x.nrows();
        let images = x.to_shape((n, 1, 5, 5)).unwrap().to_owned();
        let y = batch_norm(&conv2d(&images, &net.kernels.0, 2, 1), &net.gamma.0, &net.beta.0, 1e-3).relu();
        let y = batch_norm(&conv2d(&y, &net.kernels.1, 2, 1), &net.gamma.1, &net.beta.1, 1e-3).relu();
        let features = y.into_shape_with_order((n, net.head.nrows())).unwrap();
        features.dot(&net.head) + &net.bias
    }

    #[inner(minimize = net)]
    pub fn support(net: &Net, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        cross_entropy(&logits(net, x), y)
    }

    #[outer]
    pub fn query(net: &Net, x_query: &Array2<f64>, y_query: &Array1<usize>) -> f64 {
        cross_entropy(&logits(net, x_query), y_query)
    }
}

/// The meta-gradient along its own direction against central differences.
fn check<T: Float, P: Task<Float = T>, A: MetaAlgorithm<P>>(
    algorithm: &A,
    learned: &A::Learned,
    tasks: &[P],
    query: impl Fn(usize, &P::Inner) -> T,
    (h, tolerance): (f64, f64),
) where
    A::Learned: Params<Float = T>,
{
    let found = meta_gradient(algorithm, tasks, learned).unwrap();
    let theta: Vec<f64> = learned.flat().iter().map(|&x| Float::to_f64(x)).collect();
    let gradient: Vec<f64> = found.gradient.flat().iter().map(|&x| Float::to_f64(x)).collect();
    let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let value = |by: f64| {
        let moved: Vec<T> = theta.iter().zip(&gradient).map(|(x, g)| T::from_f64(x + by * g / norm)).collect();
        let adapted = adapt(algorithm, tasks, &learned.with_elements(&moved)).unwrap();
        adapted.iter().enumerate().map(|(k, inner)| Float::to_f64(query(k, inner))).sum::<f64>() / tasks.len() as f64
    };
    assert!((value(0.0) - Float::to_f64(found.value)).abs() < tolerance);
    let slope = (value(h) - value(-h)) / (2.0 * h);
    assert!((slope / norm - 1.0).abs() < tolerance, "{slope} and {norm}");
}

#[test]
fn meta_gradients_agree_with_differences() {
    let mut random = Random::new(5, "start");
    let mut normal = |scale: f64| scale * random.normal();
    let net = exact::Net {
        kernels: (Array4::from_shape_simple_fn((3, 1, 3, 3), || normal(0.5)), Array4::from_shape_simple_fn((4, 3, 3, 3), || normal(0.3))),
        gamma: (array![1.0, 0.8, 1.2], array![1.1, 0.9, 1.0, 0.7]),
        beta: (array![0.1, -0.2, 0.3], array![0.2, 0.1, -0.1, 0.3]),
        head: Array2::from_shape_simple_fn((16, 3), || normal(0.4)),
        bias: array![0.1, 0.0, -0.2],
    };
    let sets: Vec<[Array2<f64>; 2]> = (0..3).map(|_| [6, 9].map(|n| Array2::from_shape_simple_fn((n, 25), || normal(1.0)))).collect();
    let [y, y_query] = [6, 9].map(|n| Array1::from_shape_fn(n, |i| i % 3));
    let tasks: Vec<exact::Problem<'_>> = sets.iter().map(|[x, x_query]| exact::Problem { x, y: &y, x_query, y_query: &y_query }).collect();
    let query = |k: usize, net: &exact::Net| exact::query(net, &sets[k][1], &y_query);
    check(&Maml::new(GradientDescent::new(0.3)).steps(2), &net, &tasks, query, (1e-6, 1e-7));
    let rates = net.with_elements(&vec![0.3; net.n_elements()]);
    check(&MetaSgd::default(), &(net.clone(), rates), &tasks, query, (1e-6, 1e-7));
}

#[test]
fn meta_gradients_of_the_networks_agree_with_differences() {
    let data = data("gradients");
    let episodes = SMALL.draw_many(3, &data.omniglot, &data.known, Random::new(1, "tasks"));
    let random = &mut Random::new(5, "start");
    let convolutions = convolutions::Net::start(random, 3, 4);
    let tasks: Vec<_> = episodes.iter().map(convolutions::Net::problem).collect();
    let query = |k: usize, net: &convolutions::Net| convolutions::query(net, &episodes[k].query.images, &episodes[k].query.labels);
    check(&Maml::new(GradientDescent::new(0.1)).steps(2), &convolutions, &tasks, query, (1e-3, 1e-3));
    let dense = dense::Net::start(random, 3, 0);
    let tasks: Vec<_> = episodes.iter().map(dense::Net::problem).collect();
    let query = |k: usize, net: &dense::Net| dense::query(net, &episodes[k].query.images, &episodes[k].query.labels);
    // The dense network has a kink within most steps, so that only a short one fits, with rounding.
    check(&Maml::new(GradientDescent::new(0.1)), &dense, &tasks, query, (3e-5, 1e-2));
}

#[test]
fn a_run_learns() {
    let data = data("run");
    let plan = Plan {
        seed: 2,
        training: SMALL,
        test: Sizes { queries: 5, ..SMALL },
        tasks: 4,
        steps: 60,
        seconds: None,
        decay: Decay::Cosine,
        report_every: 30,
        report_tasks: 40,
        test_tasks: 40,
    };
    let run = || {
        let start = convolutions::Net::start(&mut Random::new(1, "start"), 3, 8);
        let maml = Maml::new(GradientDescent::new(0.4));
        let algorithms = Algorithms { training: maml, test: maml };
        training::run::<convolutions::Net, _, _, _>(&data, &plan, algorithms, Adam::new(0.005), start, |_| {}).unwrap()
    };
    let outcome = run();
    let reports: Vec<_> = outcome.reports.iter().map(|report| (report.step, report.tasks)).collect();
    assert_eq!(reports, [(0, 0), (30, 120), (60, 240)]);
    let gained = outcome.accuracy.mean - outcome.reports[0].accuracy.mean;
    assert!(gained > 0.1, "{:?} {:?}", outcome.reports, outcome.accuracy);
    assert!(outcome.accuracy.half_interval > 0.0 && outcome.accuracy.half_interval < 0.1);
    assert_eq!(run().accuracy.mean.to_bits(), outcome.accuracy.mean.to_bits());
}

#[test]
fn decays_end_at_zero() {
    for (decay, half, end) in [(Decay::Constant, 1.0, 1.0), (Decay::Linear, 0.5, 0.0), (Decay::Cosine, 0.5, 0.0)] {
        assert_eq!(decay.factor(0.0), 1.0);
        assert!((decay.factor(0.5) - half).abs() < 1e-15);
        assert_eq!((decay.factor(1.0), decay.factor(1.5)), (end, end));
    }
}

#[test]
fn what_cannot_be_drawn_is_an_error() {
    let Data { omniglot: _, known, held_out } = data("errors");
    assert!(Sizes { ways: 5, shots: 10, queries: 11 }.check(&known).unwrap_err().contains("20 images"));
    assert!(Sizes { ways: 7, shots: 1, queries: 1 }.check(&held_out).unwrap_err().contains("7 classes"));
    let folder = folder("damaged");
    let missing = Omniglot::read(&folder.join("nowhere")).err().unwrap();
    assert!(missing.contains("omniglot28.bin") && missing.contains("README"), "{missing}");
    std::fs::write(folder.join("omniglot28.bin"), [0; 98]).unwrap();
    let short = Omniglot::read(&folder).err().unwrap();
    assert!(short.contains("98 bytes"), "{short}");
    std::fs::remove_dir_all(folder).unwrap();
}
