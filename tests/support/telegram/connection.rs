//! One connection of the delivery engine: one request at a time, kept alive between them, and a single timer of 60
//! seconds (reference/telegram.md section 3.4).

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::ReadBuf,
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    faults::DeliveryFault,
    network::{Connection, Network, Target, error_text},
    response::{Reader, Response},
};

/// Runs from the connect, the hand-over of a request or the end of an answer; nothing in between restarts it.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A request for the connection.
pub struct Request {
    /// Head and body.
    pub bytes: Bytes,
    /// What to let go wrong with it.
    pub fault: Option<DeliveryFault>,
}

/// What a connection reports.
pub enum Report {
    /// An answer, which may end the connection.
    Answered(Box<Response>),
    /// Its end, with the text for `last_error_message` if there is one: a plain close has none.
    Ended(Option<String>),
}

/// Serves requests until the connection ends or nobody sends any more.
pub async fn run(
    id: u64,
    network: Arc<dyn Network>,
    target: Target,
    mut requests: mpsc::Receiver<Request>,
    reports: mpsc::UnboundedSender<(u64, Report)>,
) {
    let mut early = None;
    let end = match connect(&*network, &target, &mut requests, &mut early).await {
        Ok(stream) => {
            let mut exchange = Exchange::new(stream, early);
            exchange.run(id, &mut requests, &reports).await
        }
        Err(end) => end,
    };
    // nobody listens any more when the webhook was replaced meanwhile
    if let End::Reported(error) = end {
        reports.send((id, Report::Ended(error))).ok();
    }
}

enum End {
    Reported(Option<String>),
    /// The engine itself let go of it.
    Abandoned,
}

impl From<&str> for End {
    fn from(error: &str) -> Self {
        Self::Reported(Some(error.to_owned()))
    }
}

/// Opens the connection; a request may be handed over before it is open.
async fn connect(
    network: &dyn Network,
    target: &Target,
    requests: &mut mpsc::Receiver<Request>,
    early: &mut Option<Request>,
) -> Result<Box<dyn Connection>, End> {
    let mut deadline = Instant::now() + TIMEOUT;
    let mut opening = network.connect(target);
    loop {
        tokio::select! {
            opened = &mut opening => return opened.map_err(|error| End::Reported(Some(error))),
            request = requests.recv(), if early.is_none() => {
                *early = Some(request.ok_or(End::Abandoned)?);
                deadline = Instant::now() + TIMEOUT;
            }
            () = sleep_until(deadline) => return Err(match early {
                Some(_) => End::from("Write timeout expired"),
                None => End::Reported(None),
            }),
        }
    }
}

struct Exchange {
    stream: Box<dyn Connection>,
    output: BytesMut,
    reader: Reader,
    in_flight: bool,
    fault: Option<DeliveryFault>,
    /// TLS has ended; the transport has not.
    read_ended: bool,
    deadline: Instant,
}

enum Step {
    Wrote,
    Read,
    Closed,
}

impl Exchange {
    fn new(stream: Box<dyn Connection>, early: Option<Request>) -> Self {
        let mut exchange = Self {
            stream,
            output: BytesMut::new(),
            reader: Reader::default(),
            in_flight: false,
            fault: None,
            read_ended: false,
            deadline: Instant::now() + TIMEOUT,
        };
        if let Some(request) = early {
            exchange.accept(&request);
        }
        exchange
    }

    fn accept(&mut self, request: &Request) {
        self.output.extend_from_slice(&request.bytes);
        self.fault = request.fault;
        self.in_flight = true;
        self.deadline = Instant::now() + TIMEOUT;
    }

    async fn run(
        &mut self,
        id: u64,
        requests: &mut mpsc::Receiver<Request>,
        reports: &mpsc::UnboundedSender<(u64, Report)>,
    ) -> End {
        loop {
            if self.in_flight {
                match self.fault {
                    Some(DeliveryFault::Refuse) => return End::from("Connection refused"),
                    Some(DeliveryFault::Reset) => return End::from("Connection reset by peer"),
                    Some(DeliveryFault::LoseAnswer) | None => {}
                }
                match self.reader.next_response() {
                    Err(unreadable) => return End::Reported(Some(unreadable.message)),
                    Ok(Some(_)) if self.fault.is_some() => return End::from("Connection reset by peer"),
                    Ok(Some(response)) => {
                        self.in_flight = false;
                        self.deadline = Instant::now() + TIMEOUT;
                        let keep_alive = response.keep_alive;
                        let reported = reports.send((id, Report::Answered(Box::new(response))));
                        if reported.is_err() || !keep_alive {
                            return End::Abandoned;
                        }
                    }
                    Ok(None) => {}
                }
            }
            let (idle, deadline) = (!self.in_flight, self.deadline);
            tokio::select! {
                // a request that comes at the moment of the timeout is still served
                biased;
                request = requests.recv(), if idle => match request {
                    Some(request) => self.accept(&request),
                    None => return End::Abandoned,
                },
                step = poll_fn(|context| self.poll_step(context)) => match step {
                    Ok(Step::Wrote | Step::Read) => {}
                    Ok(Step::Closed) => return End::Reported(None),
                    Err(error) => return End::Reported(Some(error_text(&error))),
                },
                () = sleep_until(deadline) => return self.timed_out(),
            }
        }
    }

    fn timed_out(&self) -> End {
        if !self.output.is_empty() {
            End::from("Write timeout expired")
        } else if self.in_flight {
            End::from("Read timeout expired")
        } else {
            End::Reported(None)
        }
    }

    /// Reads and writes whatever can be; an answer may come before all of the request is sent.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Step>> {
        if let Poll::Ready(step) = self.poll_input(context) {
            return Poll::Ready(step);
        }
        if !self.output.is_empty() {
            let written = std::task::ready!(Pin::new(&mut *self.stream).poll_write(context, &self.output))?;
            self.output.advance(written);
            return Poll::Ready(Ok(Step::Wrote));
        }
        // what TLS still holds back
        std::task::ready!(Pin::new(&mut *self.stream).poll_flush(context))?;
        Poll::Pending
    }

    fn poll_input(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Step>> {
        if !self.read_ended {
            let mut bytes = [0; 8192];
            let mut chunk = ReadBuf::new(&mut bytes);
            match std::task::ready!(Pin::new(&mut *self.stream).poll_read(context, &mut chunk)) {
                Ok(()) if chunk.filled().is_empty() => self.read_ended = true,
                Ok(()) => {
                    self.reader.input().extend_from_slice(chunk.filled());
                    return Poll::Ready(Ok(Step::Read));
                }
                // the transport ended without the end of TLS: a close like any other
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Ok(Step::Closed));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.stream.poll_transport_end(context).map(|ended| ended.map(|()| Step::Closed))
    }
}
