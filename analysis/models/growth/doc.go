// Package growth owns what demand will be: the date when a rate is reached, and the
// peak to be ready for until then.
//
//  1. A History is rates and their instants, from a range query or from a file
//     (ReadCSV). It is reduced to the peak of each day; the weekly season is the
//     weekday's.
//  2. FromHistory fits a straight line and an exponential, each with the season, and
//     takes the one that foretells the end of the history better from its beginning.
//     What it does not know is drawn: coefficients and the days to come, by a block
//     bootstrap of the residuals, which depend on those of the days before. FromRate
//     is growth that somebody has stated.
//  3. A Forecast answers when a limit is reached (Reaches), with an interval, and
//     which peak is to be reserved for a time ahead (PeakWithin).
//
// A limit is reached on the first day whose peak is at least as high: the season and
// the chance of single days count, as they do for what has to carry them. So the date
// lies before the one on which the trend alone gets there.
//
// Less than two weeks show no season, and a season that is not known cannot be told
// from a trend: then nothing is estimable. Seasons of a year are not modelled; in
// their course a trend of a few weeks misleads, which only a longer history shows.
package growth
