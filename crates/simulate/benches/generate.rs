//! How fast records are made, on one core.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use streamreel_simulate::{Batch, Catalogue, Pace, Settings, Simulator};

const RECORDS: u64 = 500_000;

fn generate(criterion: &mut Criterion) {
    let catalogue = Catalogue::sample().expect("the sample is a catalogue");
    let mut group = criterion.benchmark_group("generate");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10);
    let at_once = Pace::Records { records: RECORDS, days: 7 };
    // As many, about.
    let at_a_rate = Pace::Rate { per_s: 50_000.0, for_ms: Some(10_000) };
    for (name, pace, dirt_ratio) in
        [("clean", at_once, 0.0), ("5 % dirt", at_once, 0.05), ("at a rate, 5 % dirt", at_a_rate, 0.05)]
    {
        let settings = Settings { pace, dirt_ratio, ..Settings::default() };
        group.bench_function(name, |bencher| {
            let mut batch = Batch::with_capacity(5_000);
            bencher.iter(|| {
                let mut simulator = Simulator::new(&settings, &catalogue).expect("the settings are in range");
                let mut bytes = 0;
                while simulator.next_batch(&mut batch) {
                    bytes += batch.payload_bytes();
                }
                bytes
            });
        });
    }
    group.finish();
}

criterion_group!(benches, generate);
criterion_main!(benches);
