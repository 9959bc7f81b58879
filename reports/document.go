package reports

// Document is what a report says, without its form.
type Document struct {
	Title string
	// Evidence is the first line of every form: what kind of system the numbers
	// come from, and whether its limits were enforced.
	Evidence Note
	Sections []Section
}

// Section is a titled run of blocks.
type Section struct {
	Title string
	// Detail marks what is not needed for the answer: folded where the form can
	// fold, and left out of a short form.
	Detail bool
	Blocks []Block
}

// Block is one of Verdict, Table, Series, Note, KeyValues, Checks and Code.
type Block interface{ block() }

// Level says how a reader should take something.
type Level int

// The levels. The zero level is plain information.
const (
	Info Level = iota
	Good
	Warning
	Bad
)

// String returns the level in one word.
func (l Level) String() string {
	switch l {
	case Good:
		return "good"
	case Warning:
		return "warning"
	case Bad:
		return "bad"
	case Info:
	}
	return "info"
}

// Verdict is the answer: a few words, and the sentence that explains them. It is
// a case of a JUnit file too, with its status.
type Verdict struct {
	Level  Level
	Status Status
	Text   string
	Detail string
}

// Note is a sentence to keep in mind.
type Note struct {
	Level Level
	Text  string
}

// KeyValues is a short list of named values.
type KeyValues struct{ Items []KeyValue }

// KeyValue is one of them.
type KeyValue struct{ Key, Value string }

// Table is a table.
type Table struct {
	Caption string
	Columns []Column
	Rows    []Row
}

// Column is the head of a column.
type Column struct {
	Title  string
	Right  bool // aligned to the right, as numbers are
	Prose  bool // sentences: may be broken over lines, and gets what width is left
	Strong bool // what a reader looks for
}

// Row is one row of a table; it has a cell for each column.
type Row struct {
	Level Level
	Cells []string
	// Continues says that the row belongs to the same thing as the row above,
	// whose first cell is repeated here. A form may leave the repetition out.
	Continues bool
}

// Checks are conditions that held or did not. They are the cases of a JUnit file.
type Checks struct {
	Group string // what the conditions are about
	Items []Check
}

// Check is one condition.
type Check struct {
	Name   string
	Status Status
	Text   string // the numbers, or why there is no answer
}

// Status is how a check came out.
type Status int

// The statuses.
const (
	Passed  Status = iota
	Failed         // measured, and it does not hold
	Unknown        // could not be measured validly
	Skipped        // there was nothing to check
)

// String returns the status in one word.
func (s Status) String() string {
	switch s {
	case Passed:
		return "passed"
	case Failed:
		return "failed"
	case Unknown:
		return "unknown"
	case Skipped:
	}
	return "skipped"
}

// Level returns how a reader should take the status.
func (s Status) Level() Level {
	switch s {
	case Passed:
		return Good
	case Failed:
		return Bad
	case Unknown:
		return Warning
	case Skipped:
	}
	return Info
}

// Series is a chart.
type Series struct {
	Title   string
	Caption string // what to look for
	X, Y    Axis
	Lines   []Line
	Markers []Marker
	// Limits are horizontal lines: an objective, or a CPU limit.
	Limits []Limit
}

// Axis is an axis of a chart; the points are in its unit.
type Axis struct {
	Label string
	Unit  string // for instance "ms"; empty: a plain number
	Log   bool   // logarithmic: values that are not above 0 are not drawn
}

// Line is one line of a chart.
type Line struct {
	Name   string
	Color  int  // index into the palette of the form; a limit of the same index belongs to the line
	Dots   bool // points only, not joined
	Points []Point
}

// Point is one point of a line. Low and High are its interval where it has one;
// where not, both are NaN.
type Point struct{ X, Y, Low, High float64 }

// Marker is a vertical line, as for the rate at which an objective breaks.
type Marker struct {
	Label     string
	At        float64
	Low, High float64 // the interval; NaN where there is none
	Color     int
}

// Limit is a horizontal line.
type Limit struct {
	Label string
	At    float64
	Color int
}

// Code is text to copy, such as a command.
type Code struct{ Text string }

func (Verdict) block()   {}
func (Note) block()      {}
func (KeyValues) block() {}
func (Table) block()     {}
func (Checks) block()    {}
func (Series) block()    {}
func (Code) block()      {}

var (
	_ Block = Verdict{}
	_ Block = Note{}
	_ Block = KeyValues{}
	_ Block = Table{}
	_ Block = Checks{}
	_ Block = Series{}
	_ Block = Code{}
)
