//! How fast records are made, on one core.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use streamreel_simulate::{Batch, Catalogue, Pace, Settings, Simulator};

const RECORDS: u64 = 500_000;

fn generate(criterion: &mut Criterion) {
    let catalogue = Catalogue::sample().expect("the sample is a catalogue");
    let mut group = criterion.benchmark_group("generate");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10);
    for (name, dirt_ratio) in [("clean", 0.0), ("5 % dirt", 0.05)] {
        let settings =
            Settings { pace: Pace::Records { records: RECORDS, days: 7 }, dirt_ratio, ..Settings::default() };
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
