// Package pacetest says what a pace.Limiter must do, whoever keeps its count: a suite that runs any of them under random loads
// in a synctest bubble. The limiter in this process passes it, and so must each that comes after it.
package pacetest
