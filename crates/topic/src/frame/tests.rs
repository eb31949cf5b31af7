//! Whatever is written into frames is read back, and damaged frames are refused.

use proptest::prelude::*;

use super::*;
use crate::RecordsBuilder;

type Plain = (i64, Option<Vec<u8>>, Vec<u8>, Vec<(String, Vec<u8>)>);

fn plain_record() -> impl Strategy<Value = Plain> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let header = ("[abc]{1,2}", proptest::collection::vec(any::<u8>(), 0..3));
    let timestamp_ms = prop_oneof![any::<i64>(), 1_700_000_000_000..1_700_000_000_300_i64, Just(0)];
    (timestamp_ms, proptest::option::of(bytes()), bytes(), proptest::collection::vec(header, 0..4))
}

fn batch(records: &[Plain]) -> Records {
    let mut builder = RecordsBuilder::new();
    for (timestamp_ms, key, value, headers) in records {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        builder.push(*timestamp_ms, key.as_deref(), value, &headers);
    }
    builder.finish()
}

fn plain(records: &Records) -> Vec<Plain> {
    let headers = |i| records.headers(i).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let record =
        |i| (records.timestamp_ms(i), records.key(i).map(<[u8]>::to_vec), records.value(i).to_vec(), headers(i));
    (0..records.len()).map(record).collect()
}

fn encode(records: &Records) -> Frame {
    let mut builder = FrameBuilder::default();
    (0..records.len()).for_each(|i| builder.push(records, i));
    builder.finish(&mut compressor().unwrap()).unwrap()
}

proptest! {
    #[test]
    fn frames_one_behind_the_other_give_the_same_records(
        first in proptest::collection::vec(plain_record(), 1..20),
        second in proptest::collection::vec(plain_record(), 1..20),
        skip in 0_usize..20,
    ) {
        let skip = skip.min(first.len() - 1);
        let mut read = Records::default();
        let mut decompressor = Decompressor::new().unwrap();
        for (records, skip) in [(&first, skip), (&second, 0)] {
            let frame = encode(&batch(records));
            prop_assert_eq!(frame.max_timestamp_ms, records.iter().map(|record| record.0).max().unwrap());
            let count = append(&mut read, &frame.data, frame.raw_bytes as usize, skip, &mut decompressor).unwrap();
            prop_assert_eq!(count, records.len());
        }
        let expected: Vec<Plain> = first[skip..].iter().chain(&second).cloned().collect();
        prop_assert_eq!(plain(&read), expected);
    }

    /// The checksum finds damage first; but should a wrong frame pass it, no read leaves the buffer.
    #[test]
    fn arbitrary_raw_bytes_never_panic(
        records in proptest::collection::vec(plain_record(), 1..10),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut decompressor = Decompressor::new().unwrap();
        let frame = encode(&batch(&records));
        let mut raw = decompressor.decompress(&frame.data, frame.raw_bytes as usize).unwrap();
        for (index, byte) in flips {
            let at = index.index(raw.len());
            raw[at] = byte;
        }
        let data = compressor().unwrap().compress(&raw).unwrap();
        let mut read = Records::default();
        if append(&mut read, &data, raw.len(), 0, &mut decompressor).is_ok() {
            let _ = plain(&read);
        }
    }
}

#[test]
fn a_builder_is_full_by_records_and_by_bytes() {
    let mut builder = FrameBuilder::default();
    let small = batch(&[(0, None, vec![0; 10], Vec::new())]);
    let large = batch(&[(0, None, vec![0; MAX_BYTES + 1], Vec::new())]);
    assert!(!builder.is_full_for(MAX_BYTES + 1), "an empty frame takes any record");
    builder.push(&large, 0);
    assert!(builder.is_full_for(1));
    builder.clear();
    for _ in 0..MAX_RECORDS {
        assert!(!builder.is_full_for(10));
        builder.push(&small, 0);
    }
    assert!(builder.is_full_for(1));
}
