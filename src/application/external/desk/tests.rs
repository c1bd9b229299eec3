//! What lies on the desk, and what becomes of it.

use super::*;

const AGENT: AgentId = AgentId::new(Uuid::from_u128(1));

fn offer(session: u128, fencing_token: u64) -> Offer {
    Offer {
        session: SessionId::new(Uuid::from_u128(session)),
        agent: AGENT,
        attempt: 1,
        fencing_token,
        is_brought: false,
        prompt: Uuid::nil(),
        document: Map::new(),
    }
}

fn lay_out(desk: &Desk, session: u128, token: u64) -> mpsc::Receiver<AgentEvent> {
    let (events, receiver) = mpsc::channel(8);
    desk.lay_out(offer(session, token), false, events);
    receiver
}

#[tokio::test]
async fn work_is_handed_over_oldest_first_once_that_is_durable() {
    let desk = Desk::default();
    let (mut first, _second) = (lay_out(&desk, 2, 10), lay_out(&desk, 1, 11));
    let handing = desk.begin_to_hand(AGENT, None).expect("work");
    assert_eq!(handing.offer.fencing_token, 10);
    let storing = async {
        let Some(AgentEvent::Handshake { handle, stored }) = first.recv().await else {
            panic!("a handshake");
        };
        assert!(is_handle_of(&handle, 10) && !is_handle_of(&handle, 11));
        stored.send(()).expect("waited for");
    };
    let (taken, ()) = tokio::join!(handing.hand_over(), storing);
    assert_eq!(taken.map(|offer| offer.fencing_token), Some(10));
    assert!(desk.waits(AGENT, SessionId::new(Uuid::from_u128(1)), 11));
    assert!(desk.held(AGENT, SessionId::new(Uuid::from_u128(2)), 10).is_some());
    assert!(desk.held(AGENT, SessionId::new(Uuid::from_u128(2)), 9).is_none(), "an old right");
    assert!(desk.clear(AGENT, SessionId::new(Uuid::from_u128(2)), 10));
}

#[tokio::test]
async fn work_that_does_not_get_there_lies_on_the_desk_again() {
    let desk = Desk::default();
    let receiver = lay_out(&desk, 1, 5);
    drop(desk.begin_to_hand(AGENT, None));
    let handing = desk.begin_to_hand(AGENT, None).expect("it is there again");
    assert!(desk.begin_to_hand(AGENT, None).is_none(), "somebody takes it");
    drop(receiver);
    assert!(handing.hand_over().await.is_none(), "its run is over");
    let session = SessionId::new(Uuid::from_u128(1));
    assert!(!desk.clear(AGENT, session, 4) && !desk.clear(AGENT, session, 5));
    assert!(!desk.waits(AGENT, session, 5));
}

#[tokio::test]
async fn what_may_not_have_arrived_is_handed_over_again() {
    let desk = Desk::default();
    let mut events = lay_out(&desk, 1, 5);
    let session = SessionId::new(Uuid::from_u128(1));
    for _ in 0..2 {
        let handing = desk.begin_to_hand(AGENT, None).expect("work");
        let storing = async {
            let Some(AgentEvent::Handshake { stored, .. }) = events.recv().await else {
                panic!("a handshake");
            };
            stored.send(()).expect("waited for");
        };
        let (taken, ()) = tokio::join!(handing.hand_over(), storing);
        assert!(taken.is_some() && desk.begin_to_hand(AGENT, None).is_none());
        desk.lay_out_again(AGENT);
    }
    drop(desk.begin_to_hand(AGENT, None).expect("it is there again"));
    assert!(desk.held(AGENT, session, 5).is_some(), "it speaks of it");
    desk.0.lock().expect("whole").jobs.values_mut().for_each(|job| job.place = Place::Taken);
    desk.lay_out_again(AGENT);
    assert!(desk.begin_to_hand(AGENT, None).is_none(), "it has it");
    let _waiting = lay_out(&desk, 2, 6);
    assert_eq!(desk.taken(AGENT), 1, "what it did not fetch is none of its work");
    assert!(desk.end_for_agent(AGENT, session, 5));
    assert_eq!(desk.taken(AGENT), 0, "nor what it has ended");
    let (events, _brought) = mpsc::channel(8);
    let brought = Offer { is_brought: true, ..offer(3, 7) };
    let session = brought.session;
    desk.lay_out(brought, true, events);
    assert_eq!(desk.taken(AGENT), 0, "nor what is being brought to it");
    desk.accept(AGENT, session, 7);
    assert_eq!(desk.taken(AGENT), 1, "but what it has accepted");
}

#[test]
fn notices_are_sent_until_the_next_call() {
    let desk = Desk::default();
    desk.post(AGENT, Notice::Drain);
    desk.post(AGENT, Notice::Drain);
    assert_eq!(desk.notices(AGENT), [Notice::Drain]);
    assert_eq!(desk.notices(AGENT), [Notice::Drain], "nobody said that it arrived");
    assert_eq!(desk.notice(AGENT), None, "sent already");
    desk.acknowledge(AGENT);
    assert!(desk.notices(AGENT).is_empty());
    assert!(desk.0.lock().expect("whole").bells.is_empty(), "nothing is left of it");
}

#[tokio::test]
async fn whoever_watches_sees_what_lies_here_and_takes_nothing() {
    let desk = Desk::default();
    let (mut bell, mut other) = (desk.bell(AGENT), desk.bell(AGENT));
    assert_eq!(bell.lying(), Lying::default());
    let session = |number| SessionId::new(Uuid::from_u128(number));
    let _events = (lay_out(&desk, 2, 5), lay_out(&desk, 1, 6));
    desk.post(AGENT, Notice::Drain);
    bell.watched().await;
    other.watched().await;
    let lying = bell.lying();
    assert_eq!(lying.work, [(5, session(2)), (6, session(1))]);
    assert_eq!(lying.notices, [Notice::Drain]);
    assert_eq!(other.lying(), lying, "looking changes nothing");
    desk.acknowledge(AGENT);
    assert_eq!(desk.notice(AGENT), Some(Notice::Drain), "it was not sent by being looked at");
    desk.acknowledge(AGENT);
    drop(desk.begin_to_hand(AGENT, None).expect("work"));
    bell.watched().await;
    assert_eq!(bell.lying(), Lying { notices: Vec::new(), ..lying });
    let rang = tokio::time::timeout(std::time::Duration::ZERO, bell.watched()).await;
    assert!(rang.is_err(), "nothing came since");
    drop((bell, other));
}
