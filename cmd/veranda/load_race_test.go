//go:build race

package main

// expensiveAtOnce is less with the race detector, which makes work ten times as
// long and says nothing about delays.
const expensiveAtOnce = 5
