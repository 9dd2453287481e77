//! What is read while files grow, and are rotated, compressed and removed.

use actix::System;
use extendedjob_decide::fault::Class;
use proptest::prelude::*;

use super::{
    super::stand_in::{
        Happening::{self, *},
        Node,
    },
    *,
};

/// Reads on until that is all, over errors; says how many there were.
async fn read_all(log: &mut LogFiles, out: &mut Vec<u8>) -> usize {
    let mut errors = 0;
    for _ in 0..1000 {
        match log.read(out).await {
            Ok(true) => {}
            Ok(false) => return errors,
            Err(_) => errors += 1,
        }
    }
    panic!("it does not come to an end");
}

/// What is read, if it is read in the beginning, and again after these have happened.
fn read_after(happenings: &[Happening]) -> (Node, LogFiles, Vec<u8>) {
    System::new().block_on(async {
        let node = Node::new();
        let (mut log, mut out) = (node.log(), vec![]);
        node.happens([Lines(10)]);
        read_all(&mut log, &mut out).await;
        node.happens(happenings.iter().copied());
        read_all(&mut log, &mut out).await;
        (node, log, out)
    })
}

#[track_caller]
fn assert_all_is_read_after(happenings: &[Happening]) {
    let (node, log, out) = read_after(happenings);
    assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(node.disk().written.clone()).unwrap());
    assert!(!log.has_gap() && !log.began_rotated());
}

#[test]
fn what_is_written_is_read_as_it_grows() {
    System::new().block_on(async {
        let node = Node::new();
        let (mut log, mut out) = (node.log(), vec![]);
        for more in [Nothing, Lines(1), Part, Nothing, Lines(10_000), Part, Part] {
            node.happens([more]);
            read_all(&mut log, &mut out).await;
            assert!(out == node.disk().written, "{} {}", out.len(), node.disk().written.len());
        }
    });
}

#[test]
fn a_log_at_rest_is_asked_for_once_and_little_comes() {
    System::new().block_on(async {
        let node = Node::new();
        let (mut log, mut out) = (node.log(), vec![]);
        node.happens([Lines(10)]);
        read_all(&mut log, &mut out).await;
        let before = node.disk().requests;
        assert!(!log.read(&mut out).await.unwrap());
        assert_eq!(node.disk().requests, before + 1);
    });
}

#[test]
fn it_goes_on_over_a_rotation() {
    assert_all_is_read_after(&[Lines(3), Renamed, Reopened, Lines(2)]);
    // Where the new one is as long as the old one was, or longer; and the line breaks are at the same places.
    assert_all_is_read_after(&[Renamed, Reopened, Lines(10)]);
    assert_all_is_read_after(&[Part, Renamed, Reopened, Lines(5000)]);
    assert_all_is_read_after(&[Renamed, Reopened]);
}

#[test]
fn it_goes_on_over_rotations_that_were_compressed() {
    let rotation = [Lines(1000), Renamed, Reopened, Lines(2), Compressed];
    assert_all_is_read_after(&[&rotation[..], &[Lines(3)]].concat());
    assert_all_is_read_after(&[&rotation[..], &rotation, &rotation, &[Lines(3)]].concat());
    assert_all_is_read_after(&[&rotation[..], &[Renamed, Reopened, Lines(1)]].concat());
}

#[test]
fn a_file_that_is_renamed_is_written_until_there_is_a_new_one() {
    assert_all_is_read_after(&[Renamed, Lines(3)]);
    assert_all_is_read_after(&[Renamed, Lines(3), NamedAsBefore, Lines(3)]);
}

#[test]
fn what_was_rotated_before_is_read_from_the_oldest_on() {
    System::new().block_on(async {
        let node = Node::new();
        node.happens([Lines(2000), Renamed, Reopened, Lines(3), Compressed, Renamed, Reopened, Lines(3)]);
        let (mut log, mut out) = (node.log(), vec![]);
        read_all(&mut log, &mut out).await;
        assert!(out == node.disk().written);
        assert!(log.began_rotated() && !log.has_gap());
    });
}

#[test]
fn what_was_removed_before_it_was_read_is_a_gap() {
    let rotation = [Renamed, Reopened, Lines(2), Compressed];
    for removed in 1..3 {
        let removals = vec![Removed; removed];
        let (node, log, out) =
            read_after(&[&[Lines(1)], &rotation[..], &rotation, &rotation, &removals].concat());
        let written = node.disk().written.clone();
        let line = written.len() / 17;
        assert!(log.has_gap() && !log.began_rotated());
        let left = &written[line * (11 + 2 * (removed - 1))..];
        assert_eq!(out, [&written[..line * 10], left].concat(), "{removed}");
    }
}

#[test]
fn a_line_that_has_lost_its_end_is_not_joined_with_what_comes_next() {
    System::new().block_on(async {
        let node = Node::new();
        let (mut log, mut out) = (node.log(), vec![]);
        node.happens([Lines(1), Part]);
        read_all(&mut log, &mut out).await;
        let before = out.clone();
        node.happens([Renamed, Reopened]);
        let ended = node.disk().written.len();
        node.happens([Part]);
        let first = node.disk().files.keys().find(|it| it.as_str() != "0.log").cloned().unwrap();
        node.disk().files.remove(&first);
        read_all(&mut log, &mut out).await;
        let after = node.disk().written[ended..].to_vec();
        assert!(log.has_gap());
        assert_eq!(out, [before, b"\n".to_vec(), after].concat());
    });
}

#[test]
fn a_line_that_the_runtime_could_not_end_is_not_joined_with_what_comes_next() {
    let (node, _, out) = read_after(&[Part, Renamed, ReopenedOnFullDisk, Lines(2)]);
    let written = node.disk().written.clone();
    let text = String::from_utf8(out).unwrap();
    // Ten come before.
    assert_eq!(text.lines().count(), 13, "{text}");
    assert_eq!(text.replacen("P some\n", "P some", 1).into_bytes(), written);
}

#[test]
fn what_is_written_to_a_renamed_file_at_last_comes_before_the_next_one() {
    System::new().block_on(async {
        // Before each of the requests that it takes to go on from there.
        for late in 0..6 {
            let node = Node::new();
            let (mut log, mut out) = (node.log(), vec![]);
            node.happens([Lines(5), Renamed]);
            read_all(&mut log, &mut out).await;
            node.will_happen(vec![vec![]; late]);
            node.will_happen([vec![Lines(1), Reopened, Lines(1)]]);
            while !node.disk().script.is_empty() {
                read_all(&mut log, &mut out).await;
            }
            read_all(&mut log, &mut out).await;
            assert!(out == node.disk().written && !log.has_gap(), "{late}");
        }
    });
}

#[test]
fn a_file_that_is_named_to_and_fro_is_not_given_up() {
    System::new().block_on(async {
        let node = Node::new();
        let (mut log, mut out) = (node.log(), vec![]);
        node.happens([Lines(5)]);
        read_all(&mut log, &mut out).await;
        node.will_happen([Renamed, NamedAsBefore, Renamed, NamedAsBefore].map(|it| vec![it]));
        read_all(&mut log, &mut out).await;
        assert!(out == node.disk().written && !log.has_gap());
    });
}

#[test]
fn a_rotation_between_two_requests_is_not_passed_over() {
    System::new().block_on(async {
        for late in 0..6 {
            let node = Node::new();
            let (mut log, mut out) = (node.log(), vec![]);
            node.happens([Lines(5), Renamed, Reopened]);
            node.will_happen(vec![vec![]; late]);
            node.will_happen([vec![Lines(1), Renamed, Reopened, Lines(1)]]);
            while !node.disk().script.is_empty() {
                read_all(&mut log, &mut out).await;
            }
            read_all(&mut log, &mut out).await;
            assert!(out == node.disk().written && !log.has_gap(), "{late}");
        }
    });
}

#[test]
fn what_was_removed_with_all_that_was_read_is_a_gap() {
    System::new().block_on(async {
        let node = Node::new();
        let (mut log, mut out) = (node.log(), vec![]);
        node.happens([Lines(1), Renamed, Reopened]);
        read_all(&mut log, &mut out).await;
        node.happens([Compressed]);
        read_all(&mut log, &mut out).await;
        assert!(!log.has_gap());
        // Two files came after it, of which only the second is left.
        let rotation = [Lines(1), Renamed, Reopened];
        node.happens([&rotation[..], &rotation, &[Removed, Removed]].concat());
        read_all(&mut log, &mut out).await;
        assert!(log.has_gap() && out.len() * 3 == node.disk().written.len() * 2);
    });
}

#[test]
fn a_damaged_file_is_a_gap() {
    System::new().block_on(async {
        let node = Node::new();
        node.happens([Lines(2000), Renamed, Reopened, Compressed, Lines(3)]);
        let file = node.disk().files.keys().find(|it| it.ends_with(".gz")).cloned().unwrap();
        node.disk().files.get_mut(&file).unwrap().truncate(1000);
        let (mut log, mut out) = (node.log(), vec![]);
        read_all(&mut log, &mut out).await;
        assert!(log.has_gap() && node.disk().written.ends_with(&out[out.len() - 100..]));
    });
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again() {
    System::new().block_on(async {
        let node = Node::new();
        node.happens([Lines(10_000), Renamed, Reopened, Lines(10_000), Compressed]);
        node.will_happen((0..10).flat_map(|_| [vec![], vec![BreaksOff]]));
        let (mut log, mut out) = (node.log(), vec![]);
        assert!(read_all(&mut log, &mut out).await > 3);
        assert!(out == node.disk().written && !log.has_gap());
    });
}

#[test]
fn who_sends_all_in_place_of_a_part_is_understood() {
    System::new().block_on(async {
        let node = Node::new();
        node.happens([Lines(5000)]);
        node.will_happen(vec![vec![KnowsNoParts]; 100]);
        let (mut log, mut out) = (node.log(), vec![]);
        read_all(&mut log, &mut out).await;
        assert!(out == node.disk().written);
    });
}

#[test]
fn each_refusal_has_its_class() {
    System::new().block_on(async {
        for (code, class) in
            [(401, Class::Refused), (403, Class::Refused), (405, Class::Refused), (500, Class::Transient)]
        {
            let node = Node::new();
            node.will_happen([vec![Refused(code)]]);
            let error = node.log().read(&mut vec![]).await.unwrap_err();
            assert_eq!(error.class(), class, "{error}");
        }
        let node = Node::new();
        node.disk().files.clear();
        assert_eq!(node.log().read(&mut vec![]).await.unwrap_err().class(), Class::NotFound);
    });
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => Just(Nothing),
        3 => (1_usize..20).prop_map(Lines),
        1 => Just(Lines(700)),
        2 => Just(Part),
        2 => Just(Compressed),
        4 => Just(Renamed),
        4 => Just(Reopened),
        1 => Just(NamedAsBefore),
        1 => Just(BreaksOff),
        1 => Just(Refused(500)),
        1 => Just(KnowsNoParts),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_between_requests_all_is_read_once_and_in_order(
        before in prop::collection::vec(happening(), 0..10),
        during in prop::collection::vec(prop::collection::vec(happening(), 0..4), 0..60),
    ) {
        System::new().block_on(async {
            let node = Node::new();
            // One that is named as before, and then otherwise, may have been removed as well.
            let may_be_gap = during.iter().flatten().any(|it| matches!(it, NamedAsBefore));
            node.happens(before);
            node.will_happen(during);
            let (mut log, mut out) = (node.log(), vec![]);
            while !node.disk().script.is_empty() {
                read_all(&mut log, &mut out).await;
            }
            read_all(&mut log, &mut out).await;
            let written = node.disk().written.clone();
            let same = out.iter().zip(&written).take_while(|(one, other)| one == other).count();
            prop_assert!(out == written, "{} of {} read, the same {same}", out.len(), written.len());
            prop_assert!(may_be_gap || !log.has_gap());
            Ok(())
        })?;
    }

    #[test]
    fn what_is_removed_leaves_a_gap_and_nothing_comes_twice(
        during in prop::collection::vec(
            prop::collection::vec(prop_oneof![6 => happening(), 1 => Just(Removed)], 0..4),
            0..60,
        ),
    ) {
        System::new().block_on(async {
            let node = Node::new();
            node.will_happen(during);
            let (mut log, mut out) = (node.log(), vec![]);
            while !node.disk().script.is_empty() {
                read_all(&mut log, &mut out).await;
            }
            read_all(&mut log, &mut out).await;
            let written = node.disk().written.clone();
            prop_assert!(out == written || log.has_gap());
            // Each line has a number of its own; one that was cut short stands for itself.
            let text = String::from_utf8(out).unwrap();
            let numbers = text.split("2026-01-01T00:00:01.").skip(1).filter_map(|it| it.get(..9));
            prop_assert!(numbers.is_sorted_by(|one, other| one < other));
            Ok(())
        })?;
    }
}
