//! What every queue of updates promises, shown of each of them: one promise a test, written once, run on real disks and real servers.
//!
//! A queue plugs in with an implementation of [`bench::Bench`] in a file of its own and one line there, `every_promise!(ItsBench);`,
//! which makes a test of each promise. One that several sidecars share adds `every_promise_of_a_shared_queue!(ItsBench);`, and
//! one that can be out of reach implements [`bench::Outage`] and adds `every_promise_in_an_outage!(ItsBench);`. What only that queue
//! promises is tested below those lines.

mod bench;
mod embedded;
mod promises;
mod rabbitmq;
mod redis;
mod seen;
mod updates;

/// A test of each promise named, on queues of a bench.
macro_rules! promised {
    ($bench:ty: $($group:ident { $($promise:ident),+ $(,)? })+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() -> anyhow::Result<()> {
            crate::promises::$group::$promise::<$bench>().await
        }
    )+)+};
}

/// What every queue promises.
macro_rules! every_promise {
    ($bench:ty) => {
        promised! { $bench:
            storing {
                an_update_is_given_out_as_it_came,
                what_was_stored_survives_a_crash,
                whoever_waits_is_woken,
                several_that_wait_get_one_each,
                one_that_stops_waiting_takes_nothing_with_it,
                what_waits_is_counted,
            }
            lanes {
                a_lane_keeps_its_order,
                a_lane_keeps_its_order_over_a_crash,
                lanes_do_not_wait_for_each_other,
                the_lane_of_the_oldest_comes_first,
                of_a_lane_one_at_most_is_in_hand,
            }
            hands {
                what_was_dropped_comes_again_as_the_first_of_its_lane,
                what_was_in_hand_at_a_crash_comes_again,
                what_is_done_is_gone_for_good,
                what_is_dead_is_set_aside_whatever_is_killed_then,
            }
            copies {
                a_copy_is_not_given_out,
                of_copies_at_the_same_moment_one_is_given_out,
                what_was_stored_is_known_after_a_crash,
                what_was_delivered_stays_known,
                what_was_set_aside_stays_known,
                another_body_or_a_lower_id_is_another_update,
            }
            dead_letters {
                what_nobody_shall_see_is_set_aside_at_once,
                dead_letters_are_selected_and_come_in_pages,
                a_replayed_update_joins_the_end_of_its_lane,
                what_is_replayed_survives_a_crash_and_is_set_aside_no_more,
                what_was_set_aside_before_a_time_can_be_forgotten,
            }
            capacity {
                a_full_queue_says_so_and_loses_nothing,
                a_full_queue_has_room_again_when_updates_are_settled,
            }
            closing {
                a_closed_queue_takes_and_gives_nothing,
                whoever_waits_at_a_closed_queue_is_told,
                closing_gives_back_what_is_in_hand,
            }
            soak {
                whatever_is_dropped_or_killed_each_lane_is_whole_and_in_order,
            }
        }
    };
}

/// What a queue promises that several sidecars share.
macro_rules! every_promise_of_a_shared_queue {
    ($bench:ty) => {
        promised! { $bench:
            shared {
                two_sidecars_never_hold_two_of_a_lane,
                a_copy_that_another_sidecar_got_is_not_given_out,
                a_sidecar_takes_over_from_one_that_was_killed,
                a_sidecar_takes_over_from_one_that_was_closed,
                a_long_line_keeps_its_order_when_a_sidecar_is_closed,
            }
        }
    };
}

/// What a queue promises that can be out of reach.
macro_rules! every_promise_in_an_outage {
    ($bench:ty) => {
        promised! { $bench:
            outage {
                out_of_reach_nothing_is_acknowledged,
                all_goes_on_when_the_queue_is_back,
                out_of_reach_for_long_nothing_in_hand_is_held,
            }
        }
    };
}

pub(crate) use {every_promise, every_promise_in_an_outage, every_promise_of_a_shared_queue, promised};
