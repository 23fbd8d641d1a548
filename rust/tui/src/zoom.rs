//! The part of the steps that charts show.

/// A window of steps, set on the chart of one tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Zoom {
    tag: String,
    span: f64,
    /// None: the window follows the newest step.
    end: Option<f64>,
}

impl Zoom {
    /// The window of everything.
    pub fn new(tag: &str, (first, last): (f64, f64)) -> Self {
        Self {
            tag: tag.to_owned(),
            span: last - first,
            end: None,
        }
    }

    /// The tag of the chart that it was set on.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The first and the last step that are shown.
    pub fn window(&self, (first, last): (f64, f64)) -> (f64, f64) {
        let end = self.end.unwrap_or(last);
        ((end - self.span).max(first), end)
    }

    /// Shows half as much: of the middle, or of the end if the end is in view. None: that would
    /// be less than a few steps.
    pub fn closer(&self) -> Option<Self> {
        let span = self.span / 2.0;
        (span >= 2.0).then(|| Self {
            span,
            end: self.end.map(|end| end - span / 2.0),
            ..self.clone()
        })
    }

    /// Shows twice as much. None: that would be everything.
    pub fn wider(&self, full: (f64, f64)) -> Option<Self> {
        let span = self.span * 2.0;
        (span < full.1 - full.0).then(|| {
            let end = self.end.map(|end| end + self.span / 2.0);
            Self {
                span,
                end,
                ..self.clone()
            }
            .within(full)
        })
    }

    /// Moves by a part of the window, to later steps if it is positive.
    pub fn moved(&self, part: f64, full: (f64, f64)) -> Self {
        let end = self.window(full).1 + self.span * part;
        Self {
            end: Some(end),
            ..self.clone()
        }
        .within(full)
    }

    /// The end of the range is followed from then on when it is reached.
    fn within(self, (first, last): (f64, f64)) -> Self {
        let end = self.end.map(|end| end.max(first + self.span));
        let end = end.filter(|&end| end < last);
        Self { end, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: (f64, f64) = (0.0, 1000.0);

    #[test]
    fn a_zoom_shows_the_end_and_follows_it() {
        let zoom = Zoom::new("loss", FULL).closer().unwrap();
        assert_eq!(zoom.window(FULL), (500.0, 1000.0));
        assert_eq!(zoom.window((0.0, 1200.0)), (700.0, 1200.0));
    }

    #[test]
    fn a_window_in_the_middle_stays() {
        let zoom = Zoom::new("loss", FULL).closer().unwrap().moved(-0.5, FULL);
        assert_eq!(zoom.window(FULL), (250.0, 750.0));
        assert_eq!(zoom.window((0.0, 9000.0)), (250.0, 750.0));
        assert_eq!(zoom.closer().unwrap().window(FULL), (375.0, 625.0));
    }

    #[test]
    fn moving_stops_at_both_ends() {
        let zoom = Zoom::new("loss", FULL).closer().unwrap();
        let first = zoom.moved(-5.0, FULL);
        assert_eq!(first.window(FULL), (0.0, 500.0));
        assert_eq!(first.moved(5.0, FULL), zoom);
    }

    #[test]
    fn zooming_ends_at_everything_and_at_a_few_steps() {
        let zoom = Zoom::new("loss", FULL).closer().unwrap();
        assert_eq!(zoom.wider(FULL), None);
        let middle = zoom.moved(-0.5, FULL).closer().unwrap();
        assert_eq!(middle.wider(FULL).unwrap().window(FULL), (250.0, 750.0));
        let closest = std::iter::successors(Some(zoom), Zoom::closer)
            .last()
            .unwrap();
        let (from, to) = closest.window(FULL);
        assert!((2.0..4.0).contains(&(to - from)));
    }
}
