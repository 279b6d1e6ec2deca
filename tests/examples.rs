//! The problems of the examples, on few data: each has to learn something, and all ways to its hypergradient have to agree.

#[path = "../examples/hyper_cleaning/cleaning.rs"]
#[allow(dead_code, unreachable_pub)]
mod cleaning;
#[path = "../examples/common/mod.rs"]
mod common;
#[path = "../examples/distillation/distill.rs"]
#[allow(dead_code, unreachable_pub)]
mod distill;
#[path = "../examples/millions/network.rs"]
#[allow(dead_code, unreachable_pub)]
mod network;
#[path = "../examples/learned_schedule/schedule.rs"]
#[allow(dead_code, unreachable_pub)]
mod schedule;

use std::ops::Range;

use bilevel::prelude::*;
use clap::ValueEnum;
use common::digits::Digits;
use common::random::Random;

fn digits(range: Range<usize>) -> (Array2<f32>, Array1<usize>) {
    let (x, y) = Digits::load().unwrap().rows(range);
    (x.mapv(|p| p as f32), y)
}

/// Half of the labels of 400 digits are wrong.
fn dirty_digits() -> cleaning::Data {
    cleaning::Data::new(digits(0..400), digits(400..800), digits(800..1797), 3)
}

#[test]
fn exactly_half_of_the_labels_are_changed_to_other_classes() {
    let (data, clean) = (dirty_digits(), digits(0..400).1);
    let differs: Array1<bool> = data.train.1.iter().zip(&clean).map(|(label, right)| label != right).collect();
    assert_eq!(differs, data.changed);
    assert_eq!(differs.iter().filter(|&&differs| differs).count(), 200);
    assert!(data.train.1.iter().all(|&label| label < 10));
    assert_eq!(dirty_digits().train.1, data.train.1);
}

#[test]
fn hyper_cleaning_finds_the_changed_labels() {
    let data = dirty_digits();
    let (oracle, baseline) = (data.oracle().unwrap(), data.baseline().unwrap());
    assert!(oracle > baseline + 0.1, "oracle {oracle}, baseline {baseline}");
    let settings = cleaning::Settings { n_steps: 25, rate: 0.2, inner_tolerance: 1e-3, seed: 1, progress: false };
    let cleaned = cleaning::clean(&data, cleaning::Method::Cg, settings).unwrap();
    let (accuracy, f1) = (data.test_accuracy(&cleaned.trust).unwrap(), data.f1(&cleaned.trust, 0.5));
    assert!(accuracy > baseline + 0.8 * (oracle - baseline), "accuracy {accuracy}, oracle {oracle}, baseline {baseline}");
    assert!(f1 > 0.75, "F1 {f1}");
}

#[test]
fn hyper_cleaning_learns_by_every_method() {
    let data = dirty_digits();
    for &method in cleaning::Method::value_variants() {
        let cleaned =
            cleaning::clean(&data, method, cleaning::Settings { n_steps: 4, rate: 0.2, inner_tolerance: 1e-3, seed: 1, progress: false })
                .unwrap();
        let f1 = data.f1(&cleaned.trust, 0.5);
        assert!(f1 > 0.55, "{method:?}: F1 {f1}");
        assert_eq!(cleaned.losses.len(), 5);
        assert!(cleaned.losses[4] < cleaned.losses[0], "{method:?}: {:?}", cleaned.losses);
    }
}

#[test]
fn all_ways_through_a_learned_schedule_agree_and_learn() {
    let digits = Digits::load().unwrap();
    let ((x, y), (x_val, y_val)) = (digits.rows(0..100), digits.rows(100..200));
    let problem = schedule::Problem { x: &x, y: &y, x_val: &x_val, y_val: &y_val };
    let start = schedule::fresh(8, 1, "learning", 0);
    let before = schedule::constant(&start, 12, 0.1);
    let mut expected: Option<Array1<f64>> = None;
    for &method in schedule::Method::value_variants() {
        let gradient = schedule::hypergradient(&problem, method, &before, &start, 0).unwrap().0.gradient.flat();
        let expected = expected.get_or_insert_with(|| gradient.clone());
        assert!(norm(&(&gradient - &*expected)) < 1e-12 * norm(expected), "{method:?}");
    }
    let (learned, losses) = schedule::learn(&problem, schedule::Method::Mixed, &before, |_| start.clone(), (20, 0.1), |_| ()).unwrap();
    let trained = schedule::train(&problem, &learned, &start).unwrap();
    let loss = schedule::learned_schedule::validate(&trained, &x_val, &y_val);
    assert!(loss < 0.8 * losses[0], "from {} to {loss}", losses[0]);
}

#[test]
fn distilled_images_train_networks_that_start_anew() {
    let digits = Digits::load().unwrap();
    let ((x, y), (x_test, y_test)) = (digits.rows(0..200), digits.rows(200..600));
    let labels = Array1::from_iter(0..10);
    let problem = distill::Problem { labels: &labels, x: &x, y: &y };
    let training = distill::Training { n_steps: 10, rate: 0.2 };
    let real = distill::real_images(&x, &y, &mut Random::new(2, "real"));
    let tested = |images: &Array2<f64>| {
        let starts = (0..5).map(|k| distill::fresh(1, "test", k));
        training.test_accuracy(&problem, images, (&x_test, &y_test), starts).unwrap().0
    };
    let mut learned = vec![];
    for &method in distill::Method::value_variants() {
        let start = |step| distill::fresh(1, "learning", step);
        let (images, losses) = distill::distill(&problem, (method, training), &real, start, (60, 0.05), |_| ()).unwrap();
        assert!(losses[50..].iter().sum::<f64>() < 0.8 * losses[..10].iter().sum::<f64>(), "{method:?}: {losses:?}");
        assert!(tested(&images) > tested(&real) + 0.05, "{method:?}: {} from {}", tested(&images), tested(&real));
        learned.push(images);
    }
    assert!((&learned[0] - &learned[1]).mapv(f64::abs).sum() < 1e-6, "reverse and mixed mode agree");
}

#[test]
fn penalties_are_learned_while_training_goes_on() {
    let ((x, y), (x_val, y_val)) = (digits(0..100), digits(100..200));
    let problem = network::Problem { x: &x, y: &y, x_val: &x_val, y_val: &y_val };
    let start = network::fresh(64, [16, 8], 1);
    let before = network::uniform(&start, -7.0);
    let settings = network::Settings { n_steps: 20, n_inner: 5, n_terms: 5, inner_rate: 0.2, rate: 0.3, damping: 0.5 };
    let trained = network::trained(&problem, &before, &start, 40).unwrap();
    let plain = network::millions::validate(&trained, &x_val, &y_val);
    for &method in network::Method::value_variants() {
        let tuned = settings.learn(&problem, method, (&before, &trained), false).unwrap();
        assert!(tuned.value < plain, "{method:?}: {} where uniform penalties reach {plain}", tuned.value);
        assert!(tuned.trace.iter().all(|step| step.report.inner.n_iterations == 5));
    }
}
