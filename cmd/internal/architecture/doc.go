// Package architecture owns the tests that hold code and docs to each other: who
// may import whom, the rules of the house that a compiler does not know, and
// the reference of the scenario file.
//
//  1. table_test.go reads the table of rooms.
//  2. rules_test.go finds what breaks a rule in one parsed file or package.
//  3. samples_test.go shows that each rule finds what it is there for.
//  4. project_test.go applies all of it to the project.
//  5. dependencies_test.go compares docs/dependencies.md with go.mod.
//  6. reference_test.go compares docs/scenario.md with the schema, and reads
//     every scenario in the docs.
//
// There is nothing in it that a program could use.
package architecture
