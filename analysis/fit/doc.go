// Package fit owns what `sailplan fit` answers: a table of points that were
// measured elsewhere, the model that was asked for, what it predicts, its inverse,
// and the models beside it. The models themselves belong to package models and
// those below it.
package fit
